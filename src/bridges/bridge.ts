/** One bridge, by the driver it supports; group links always go by its bot. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge, MatrixSessions } from '../domain/ports.ts'
import type { BridgeDriver } from '../domain/states.ts'
import type { Clock } from '../lib/clock.ts'
import type { PeerAddress } from '../lib/peer-request.ts'
import { type BotCommand, createBotCommands } from './bot-commands.ts'
import { type BotDriver, createBotDriver } from './bot-driver.ts'
import { BotHelp } from './bot-help.ts'
import { canJoinGroups, createGroupLinks } from './group-links.ts'
import { createProvisioningClient } from './provisioning.ts'
import { NoProvisioningApi } from './provisioning-errors.ts'
import type { StartWatch } from './start-watch.ts'

export interface BridgeConfig extends PeerAddress {
  platform: string
  /** Secret of the provisioning API; empty for a bridge without one. */
  sharedSecret: string
  /** Matrix user id of the bridge's bot; needed without a provisioning API. */
  bot?: string | undefined
  /** Regular expressions of the bridge's Matrix users in its registration; absent if unknown. */
  users?: readonly string[] | undefined
}

type DrivenBridge = Omit<BotDriver, 'forgetLogins'>

/** @param watch keeps calls from a bridge that has just come up; by default none does */
export function createBridge(
  config: BridgeConfig,
  sessions: Pick<MatrixSessions, 'actingAs'>,
  clock: Clock,
  watch?: Pick<StartWatch, 'check' | 'started'>,
): Bridge {
  const { platform, sharedSecret, bot: knownBot, users: _users, ...address } = config
  const client = createProvisioningClient(platform, address, sharedSecret)
  const commands = createBotCommands(platform, clock)

  const command: BotCommand = async (userId, line, withinMs) => {
    await watch?.check()
    const session = sessions.actingAs(userId)
    if (knownBot !== undefined && (await driver(userId)) === 'bot')
      return commands.run(session, knownBot, null, line, withinMs)
    const { bridge_bot: bot, command_prefix: prefix } = await client.whoami(userId)
    if (!bot) throw new GatewayError('bridge_error', `the ${platform} bridge doesn't say who its bot is`)
    return commands.run(session, bot, prefix || null, line, withinMs)
  }

  const help = new BotHelp(command, clock)
  const byBot =
    knownBot === undefined
      ? null
      : createBotDriver({ platform, bot: knownBot, sessions, command, help, clock })
  const byApi: DrivenBridge = {
    ...client,
    async describe(userId) {
      // First checks that there is such an API at all.
      const { network, bridge_bot: bot, login_flows: flows } = await client.whoami(userId)
      const capabilities = await client.capabilities(userId)
      return {
        name: network.displayname || platform,
        bot: bot || null,
        driver: 'provisioning',
        flows,
        capabilities: { ...capabilities, group_links: canJoinGroups(help) },
      }
    },
  }

  let hasApi = false

  /**
   * Without an API it asks the bridge each time: a bot can't say that it is gone, and the API may
   * have been switched on.
   */
  async function driver(userId: string): Promise<BridgeDriver> {
    await watch?.check()
    if (byBot === null || hasApi) return 'provisioning'
    const isThere = await client.isThere(userId)
    hasApi = isThere && sharedSecret !== ''
    return hasApi ? 'provisioning' : 'bot'
  }

  /** A bridge that was unreachable may have changed by the time it is back, even unnoticed. */
  async function driven<T>(userId: string, use: (bridge: DrivenBridge) => Promise<T>): Promise<T> {
    if ((await driver(userId)) === 'bot' && byBot) return use(byBot)
    try {
      return await use(byApi)
    } catch (error) {
      const isGone = error instanceof NoProvisioningApi
      if (isGone || (error instanceof GatewayError && error.code === 'bridge_unavailable')) hasApi = false
      if (isGone && byBot) return use(byBot)
      throw error
    }
  }

  return {
    platform,
    driver,
    bot: async userId => knownBot ?? driven(userId, bridge => bridge.bot(userId)),
    describe: userId => driven(userId, bridge => bridge.describe(userId)),
    async flows(userId, until) {
      if (until !== undefined) await watch?.started(Math.max(0, until - clock.steady()))
      return driven(userId, bridge => bridge.flows(userId, until))
    },
    logins: (userId, until) => driven(userId, bridge => bridge.logins(userId, until)),
    forgetLogins: userId => byBot?.forgetLogins(userId),
    startLogin: (userId, ...rest) => driven(userId, bridge => bridge.startLogin(userId, ...rest)),
    waitForLogin: (userId, ...rest) => driven(userId, bridge => bridge.waitForLogin(userId, ...rest)),
    submitLogin: (userId, ...rest) => driven(userId, bridge => bridge.submitLogin(userId, ...rest)),
    isLoginAt: (userId, step) => driven(userId, bridge => bridge.isLoginAt(userId, step)),
    cancelLogin: (userId, processId) => driven(userId, bridge => bridge.cancelLogin(userId, processId)),
    logout: (userId, loginId) => driven(userId, bridge => bridge.logout(userId, loginId)),
    contacts: (userId, loginId) => driven(userId, bridge => bridge.contacts(userId, loginId)),
    search: (userId, ...rest) => driven(userId, bridge => bridge.search(userId, ...rest)),
    resolveIdentifier: (userId, ...rest) =>
      driven(userId, bridge => bridge.resolveIdentifier(userId, ...rest)),
    createDirectChat: (userId, ...rest) => driven(userId, bridge => bridge.createDirectChat(userId, ...rest)),
    createGroup: (userId, ...rest) => driven(userId, bridge => bridge.createGroup(userId, ...rest)),
    fetchOlder: (userId, ...rest) => driven(userId, bridge => bridge.fetchOlder(userId, ...rest)),
    ...createGroupLinks(platform, command, help),
  }
}
