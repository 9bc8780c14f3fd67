/**
 * Driver for bridges without a provisioning API: everything is said to the bridge's bot. It can less (no address book, no steps with several
 * fields), and is slower, as each call is a message and its answer.
 */
import { GatewayError } from '../domain/errors.ts'
import type { LoginFlow } from '../domain/login-steps.ts'
import type { Bridge, BridgeLogin, MatrixSession, MatrixSessions } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { type CommandLine, commandLine } from './bot-commands.ts'
import { createBotLogins } from './bot-login.ts'
import {
  commandsIn,
  contactIn,
  contactsIn,
  flowsIn,
  isUnknownCommand,
  loginsIn,
  saysNobody,
} from './bot-texts.ts'
import type { GroupLinks } from './group-links.ts'

export interface BotDriverOptions {
  platform: string
  /** Matrix user id of the bot. */
  bot: string
  sessions: Pick<MatrixSessions, 'actingAs'>
  /** Gives a command to the bot for a user, and tells the answer. */
  command(userId: string, line: CommandLine): Promise<string>
  groupLinks: GroupLinks
  clock: Clock
}

/** Logins are asked for again and again, and each time is a message in a room: an answer is good for this long, and so is its failing to come. */
const LOGINS_REMEMBERED_MS = 20_000
/** What the bot can do changes with the bridge's version alone. */
const COMMANDS_REMEMBERED_MS = 3_600_000
/** No flow has this name, so asking for it only lists those there are. */
const NO_FLOW = '?'
/** The one login of a bridge that knows no flows. */
const ONLY_FLOW: LoginFlow = {
  id: 'login',
  name: 'Login',
  description: 'As the bot of the bridge leads through it',
}

export type BotDriver = Omit<Bridge, 'driver'>

export function createBotDriver(options: BotDriverOptions): BotDriver {
  const { platform, bot, sessions, command, groupLinks, clock } = options
  const remembered = new Map<string, { at: number; logins: Promise<BridgeLogin[]> }>()
  let known: { at: number; commands: Map<string, string>; flows: LoginFlow[] } | null = null

  const botLogins = createBotLogins({ platform, logins: session => askForLogins(session), clock })

  async function askForLogins({ userId }: Pick<MatrixSession, 'userId'>): Promise<BridgeLogin[]> {
    const listed = await command(userId, commandLine('list-logins'))
    return loginsIn(isUnknownCommand(listed) ? await command(userId, commandLine('ping')) : listed)
  }

  function logins(userId: string): Promise<BridgeLogin[]> {
    const before = remembered.get(userId)
    if (before && clock.steady() - before.at < LOGINS_REMEMBERED_MS) return before.logins
    const entry = { at: clock.steady(), logins: askForLogins({ userId }) }
    remembered.set(userId, entry)
    return entry.logins
  }

  async function learn(userId: string): Promise<{ commands: Map<string, string>; flows: LoginFlow[] }> {
    if (known && clock.steady() - known.at < COMMANDS_REMEMBERED_MS) return known
    const commands = commandsIn(await command(userId, commandLine('help')))
    // Only bots that know flows list them; others would begin a login.
    const knowsFlows = /flow/i.test(commands.get('login') ?? '')
    const flows = knowsFlows ? flowsIn(await command(userId, commandLine('login', NO_FLOW))) : []
    known = { at: clock.steady(), commands, flows: flows.length > 0 ? flows : [ONLY_FLOW] }
    return known
  }

  /** What a bot says about a person who was asked for. */
  function personIn(answer: string, identifier: string) {
    const contact = /^(Found|Created|You already have)\b/i.test(answer) ? contactIn(answer) : null
    if (contact) return contact
    if (isUnknownCommand(answer))
      throw new GatewayError('not_supported', `the ${platform} bridge's bot can't look anybody up`)
    const code = saysNobody(answer) ? 'not_found' : 'bridge_error'
    throw new GatewayError(code, `the ${platform} bridge's bot about ${identifier}: ${answer}`)
  }

  return {
    platform,
    bot: async () => bot,
    flows: async userId => (await learn(userId)).flows,
    logins,
    forgetLogins: userId => void remembered.delete(userId),

    async describe(userId) {
      const { commands, flows } = await learn(userId)
      const canLookUp = commands.has('resolve-identifier') || commands.has('start-chat')
      return {
        name: platform,
        bot,
        driver: 'bot',
        flows,
        capabilities: {
          resolve: commands.has('resolve-identifier'),
          createChat: canLookUp || commands.has('pm'),
          lookUpPhone: null,
          lookUpEmail: null,
          lookUpUsername: null,
          contactList: false,
          search: commands.has('search'),
          groupLinks: commands.has('join'),
        },
      }
    },

    async startLogin(userId, flow, loginId) {
      const { commands, flows } = await learn(userId)
      const chosen = flows.includes(ONLY_FLOW) ? [] : [flow]
      const again = loginId !== undefined && commands.has('relogin')
      const line = again ? commandLine('relogin', loginId, ...chosen) : commandLine('login', ...chosen)
      return botLogins.start(sessions.actingAs(userId), bot, line, again ? loginId : null)
    },

    async waitForLogin(userId, step, signal) {
      return forgettingAtTheEnd(userId, botLogins.wait(step, signal))
    },
    async submitLogin(userId, step, fields) {
      const { commands } = await learn(userId)
      if (step.kind === 'input') refuseCommands(platform, commands, fields)
      return forgettingAtTheEnd(userId, botLogins.submit(step, fields))
    },
    isLoginAt: async (_userId, step) => botLogins.isAt(step),
    cancelLogin: (_userId, processId) => botLogins.cancel(processId),

    async logout(userId, loginId) {
      const answer = await command(userId, commandLine('logout', loginId))
      remembered.delete(userId)
      if (/^logged out/i.test(answer)) return
      if (saysNobody(answer) || /not logged in/i.test(answer)) throw new GatewayError('not_found', answer)
      throw new GatewayError('bridge_error', `the ${platform} bridge's bot: ${answer}`)
    },

    async contacts() {
      throw new GatewayError(
        'not_supported',
        `the ${platform} bridge has no provisioning API to list contacts with`,
      )
    },

    async search(userId, loginId, query) {
      const answer = await command(userId, commandLine('search', loginId, ...query.trim().split(/\s+/)))
      if (isUnknownCommand(answer) || /does not support/i.test(answer))
        throw new GatewayError('not_supported', `the ${platform} bridge's bot can't search`)
      if (/^Failed to/i.test(answer))
        throw new GatewayError('bridge_error', `the ${platform} bridge's bot: ${answer}`)
      return contactsIn(answer)
    },

    async resolveIdentifier(userId, loginId, identifier) {
      return personIn(
        await command(userId, commandLine('resolve-identifier', loginId, identifier)),
        identifier,
      )
    },

    async createDirectChat(userId, loginId, identifier) {
      const answer = await command(userId, commandLine('start-chat', loginId, identifier))
      // Before bridgev2, with one login to each user.
      const contact = personIn(
        isUnknownCommand(answer) ? await command(userId, commandLine('pm', identifier)) : answer,
        identifier,
      )
      if (contact.roomId) return { roomId: contact.roomId, contact }
      throw new GatewayError(
        'bridge_error',
        `the ${platform} bridge's bot made no chat with ${identifier}: ${answer}`,
      )
    },

    ...groupLinks,
  }

  async function forgettingAtTheEnd<T extends { kind: string }>(
    userId: string,
    next: Promise<T>,
  ): Promise<T> {
    const step = await next
    if (step.kind === 'complete') remembered.delete(userId)
    return step
  }
}

/** A bot obeys its commands also while it waits for an answer: a password must not log out a device. */
function refuseCommands(
  platform: string,
  commands: ReadonlyMap<string, string>,
  fields: Readonly<Record<string, string>>,
): void {
  for (const [field, value] of Object.entries(fields)) {
    const [first = '', second = ''] = value.trim().split(/\s+/)
    const command = (first.startsWith('!') ? second : first).toLowerCase()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break is one of them
    if (!commands.has(command) && !/[\u0000-\u001f\u007f]/.test(value)) continue
    throw new GatewayError(
      'bad_request',
      commands.has(command)
        ? `${field}: the ${platform} bridge's bot would obey ${command} as a command`
        : `${field}: expected no control characters`,
    )
  }
}
