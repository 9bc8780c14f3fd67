/**
 * Driver for bridges without a provisioning API: it talks to the bridge's bot. It can do less (no
 * address book, no steps with several fields) and is slower: each call is a message with an answer.
 */
import { GatewayError } from '../domain/errors.ts'
import type { LoginFlow } from '../domain/login-steps.ts'
import type { Bridge, BridgeLogin, MatrixSessions } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { type CommandLine, commandLine } from './bot-commands.ts'
import { createBotLogins, type LeftMs } from './bot-login.ts'
import {
  commandsIn,
  contactIn,
  contactsIn,
  flowsIn,
  isUnknownCommand,
  loginCommandsIn,
  loginsIn,
  saysNobody,
} from './bot-texts.ts'
import type { GroupLinks } from './group-links.ts'

export interface BotDriverOptions {
  platform: string
  /** Matrix user id of the bot. */
  bot: string
  sessions: Pick<MatrixSessions, 'actingAs'>
  /**
   * Sends a command to the bot for a user and returns the answer.
   * @param withinMs time limit for everything
   */
  command(userId: string, line: CommandLine, withinMs?: number): Promise<string>
  groupLinks: GroupLinks
  clock: Clock
}

/** How long an answer about logins, or its failure, is reused: asking takes a message in a room. */
const LOGINS_REMEMBERED_MS = 20_000
/** The bot's commands only change with the bridge's version. */
const COMMANDS_REMEMBERED_MS = 3_600_000
/** No flow has this name, so the command only lists the flows. */
const NO_FLOW = '?'
/** Default time limit of an answer in milliseconds, however silent the bot is. */
const ANSWER_WITHIN_MS = 14_000
/** The login of a bot whose help can't be parsed. */
const ONLY_FLOW: LoginFlow = {
  id: 'login',
  name: 'Login',
  description: 'As the bot of the bridge leads through it',
}

export type BotDriver = Omit<Bridge, 'driver'>

interface Learned {
  /** Arguments by command. */
  commands: Map<string, string>
  flows: LoginFlow[]
  /** True when each flow is a command. */
  areCommands: boolean
}

export function createBotDriver(options: BotDriverOptions): BotDriver {
  const { platform, bot, sessions, groupLinks, clock } = options
  const remembered = new Map<string, { at: number; logins: Promise<BridgeLogin[]> }>()
  let known: (Learned & { at: number }) | null = null

  const botLogins = createBotLogins({
    platform,
    logins: ({ userId }, leftMs) => askForLogins(userId, leftMs),
    clock,
  })

  const leftUntil =
    (deadline = clock.steady() + ANSWER_WITHIN_MS): LeftMs =>
    () =>
      Math.max(0, deadline - clock.steady())
  const command = (userId: string, line: CommandLine, leftMs?: LeftMs) =>
    options.command(userId, line, leftMs?.())

  async function askForLogins(userId: string, leftMs?: LeftMs): Promise<BridgeLogin[]> {
    const listed = await command(userId, commandLine('list-logins'), leftMs)
    return loginsIn(isUnknownCommand(listed) ? await command(userId, commandLine('ping'), leftMs) : listed)
  }

  function logins(userId: string, until?: number): Promise<BridgeLogin[]> {
    // A failure within a short limit says nothing to other callers, so it isn't remembered.
    if (until !== undefined) return askForLogins(userId, leftUntil(until))
    const before = remembered.get(userId)
    if (before && clock.steady() - before.at < LOGINS_REMEMBERED_MS) return before.logins
    const entry = { at: clock.steady(), logins: askForLogins(userId) }
    remembered.set(userId, entry)
    return entry.logins
  }

  async function learn(userId: string, leftMs?: LeftMs): Promise<Learned> {
    if (known && clock.steady() - known.at < COMMANDS_REMEMBERED_MS) return known
    const help = await command(userId, commandLine('help'), leftMs)
    const commands = commandsIn(help)
    // Only bots with flows list them; others would start a login.
    const knowsFlows = /flow/i.test(commands.get('login') ?? '')
    const listed = knowsFlows ? flowsIn(await command(userId, commandLine('login', NO_FLOW), leftMs)) : []
    const byCommand = commands.size === 0 ? [ONLY_FLOW] : loginCommandsIn(help)
    const flows = listed.length > 0 ? listed : byCommand
    known = { at: clock.steady(), commands, flows, areCommands: listed.length === 0 }
    return known
  }

  /** @throws GatewayError not_supported where the bot lists no login */
  function loginLine({ flows, areCommands }: Learned, flow: string): CommandLine {
    if (!areCommands) return commandLine('login', flow)
    const command = flows.find(({ id }) => id === flow) ?? (flow === ONLY_FLOW.id ? flows[0] : undefined)
    if (command) return commandLine(command.id)
    throw new GatewayError(
      'not_supported',
      `the ${platform} bridge's bot lists no login that we know how to begin`,
    )
  }

  /** Parses a bot's answer about a person. */
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
    flows: async (userId, until) => (await learn(userId, leftUntil(until))).flows,
    logins,
    forgetLogins: userId => void remembered.delete(userId),

    async describe(userId) {
      const { commands, flows } = await learn(userId, leftUntil())
      const canLookUp = commands.has('resolve-identifier') || commands.has('start-chat')
      return {
        name: platform,
        bot,
        driver: 'bot',
        flows,
        capabilities: {
          resolve: commands.has('resolve-identifier'),
          create_chat: canLookUp || commands.has('pm'),
          lookup_phone: null,
          lookup_email: null,
          lookup_username: null,
          contact_list: false,
          search: commands.has('search'),
          group_links: commands.has('join'),
        },
      }
    },

    async startLogin(userId, flow, loginId, until) {
      const leftMs = leftUntil(until)
      const learned = await learn(userId, leftMs)
      const again = loginId !== undefined && learned.commands.has('relogin')
      const chosen = learned.areCommands ? [] : [flow]
      const line = again ? commandLine('relogin', loginId, ...chosen) : loginLine(learned, flow)
      return botLogins.start(sessions.actingAs(userId), bot, line, again ? loginId : null, leftMs)
    },

    async waitForLogin(userId, step, signal) {
      return forgettingAtTheEnd(userId, botLogins.wait(step, signal))
    },
    async submitLogin(userId, step, fields) {
      if (step.kind === 'input') refuseCommands(platform, (await learn(userId)).commands, fields)
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
      // Bridges before bridgev2, with one login per user.
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

/** A bot obeys commands even while it waits for an answer: a password must not log out a device. */
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
