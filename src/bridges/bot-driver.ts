/**
 * Driver for bridges without a provisioning API: it talks to the bridge's bot. It can do less (no
 * address book, no steps with several fields) and is slower: each call is a message with an answer.
 */
import { GatewayError } from '../domain/errors.ts'
import type { AskingStep, LoginFlow, LoginStep } from '../domain/login-steps.ts'
import type { Bridge, BridgeLogin, MatrixSessions } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { type BotCommand, type CommandLine, commandLine } from './bot-commands.ts'
import type { BotHelp, Help } from './bot-help.ts'
import { BotLogin, type LeftMs } from './bot-login.ts'
import { createBotPeople } from './bot-people.ts'
import { flowsIn, isUnknownCommand, loginCommandsIn, loginsIn, saysNobody } from './bot-texts.ts'
import type { GroupLinks } from './group-links.ts'

/** How long an answer about logins, or its failure, is reused: asking takes a message in a room. */
const LOGINS_REMEMBERED_MS = 20_000
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

interface Learned {
  help: Help
  flows: LoginFlow[]
  /** True when each flow is a command. */
  areCommands: boolean
}

export type BotDriver = Omit<Bridge, 'platform' | 'driver' | keyof GroupLinks>

export function createBotDriver(options: {
  platform: string
  /** Matrix user id of the bot. */
  bot: string
  sessions: Pick<MatrixSessions, 'actingAs'>
  command: BotCommand
  help: BotHelp
  clock: Clock
}): BotDriver {
  const { platform, bot, sessions, command, clock } = options
  const remembered = new Map<string, { at: number; logins: Promise<BridgeLogin[]> }>()
  const running = new RunningLogins(platform, userId => remembered.delete(userId))
  let learned: Learned | null = null

  const leftUntil =
    (deadline = clock.steady() + ANSWER_WITHIN_MS): LeftMs =>
    () =>
      Math.max(0, deadline - clock.steady())

  async function askForLogins(userId: string, leftMs?: LeftMs): Promise<BridgeLogin[]> {
    const listed = await command(userId, commandLine('list-logins'), leftMs?.())
    return loginsIn(
      isUnknownCommand(listed) ? await command(userId, commandLine('ping'), leftMs?.()) : listed,
    )
  }

  async function learn(userId: string, leftMs: LeftMs): Promise<Learned> {
    const help = await options.help.read(userId, leftMs())
    if (learned?.help === help) return learned
    // Only bots with flows list them; others would start a login.
    const knowsFlows = /flow/i.test(help.commands.get('login') ?? '')
    const listed = knowsFlows ? flowsIn(await command(userId, commandLine('login', NO_FLOW), leftMs())) : []
    const byCommand = help.commands.size === 0 ? [ONLY_FLOW] : loginCommandsIn(help.text)
    learned = { help, flows: listed.length > 0 ? listed : byCommand, areCommands: listed.length === 0 }
    return learned
  }

  return {
    ...createBotPeople(platform, command),
    bot: async () => bot,
    flows: async (userId, until) => (await learn(userId, leftUntil(until))).flows,

    async logins(userId, until) {
      // A failure within a short limit says nothing to other callers, so it isn't remembered.
      if (until !== undefined) return askForLogins(userId, leftUntil(until))
      const before = remembered.get(userId)
      if (before && clock.steady() - before.at < LOGINS_REMEMBERED_MS) return before.logins
      const entry = { at: clock.steady(), logins: askForLogins(userId) }
      remembered.set(userId, entry)
      return entry.logins
    },

    forgetLogins: userId => void remembered.delete(userId),

    async describe(userId) {
      const { help, flows } = await learn(userId, leftUntil())
      const has = (name: string) => help.commands.has(name)
      return {
        name: platform,
        bot,
        driver: 'bot',
        flows,
        capabilities: {
          resolve: has('resolve-identifier'),
          create_chat: ['resolve-identifier', 'start-chat', 'pm'].some(has),
          lookup_phone: null,
          lookup_email: null,
          lookup_username: null,
          contact_list: false,
          search: has('search'),
          create_group: false,
          group_links: has('join'),
        },
      }
    },

    async startLogin(userId, flow, loginId, until) {
      const leftMs = leftUntil(until)
      const known = await learn(userId, leftMs)
      const again = loginId !== undefined && known.help.commands.has('relogin')
      const chosen = known.areCommands ? [] : [flow]
      const line = again ? commandLine('relogin', loginId, ...chosen) : loginLine(platform, known, flow)
      const login = await BotLogin.open(
        {
          platform,
          session: sessions.actingAs(userId),
          bot,
          replaces: again ? loginId : null,
          logins: left => askForLogins(userId, left),
          clock,
        },
        leftMs,
      )
      return running.begin(userId, login, endOthers => login.begin(line, leftMs, endOthers))
    },

    waitForLogin: (userId, step, signal) =>
      running.lead(userId, step.processId, login => login.wait(step.display, signal)),

    async submitLogin(userId, step, fields) {
      if (step.kind === 'input') refuseCommands(platform, (await options.help.read(userId)).commands, fields)
      const [value = ''] = Object.values(fields)
      return running.lead(userId, step.processId, login => login.submit(step, value))
    },

    isLoginAt: async (_userId, step) => running.isAt(step),
    cancelLogin: (_userId, processId) => running.cancel(processId),

    async logout(userId, loginId) {
      const answer = await command(userId, commandLine('logout', loginId))
      remembered.delete(userId)
      if (/^logged out/i.test(answer)) return
      if (saysNobody(answer) || /not logged in/i.test(answer)) throw new GatewayError('not_found', answer)
      throw new GatewayError('bridge_error', `the ${platform} bridge's bot: ${answer}`)
    },
  }
}

/** The logins under way, by their process ids. */
class RunningLogins {
  private readonly logins = new Map<string, BotLogin>()

  constructor(
    private readonly platform: string,
    /** Called when a login is complete, which changes the user's list of logins. */
    private readonly completed: (userId: string) => void,
  ) {}

  /** @param begin is given what ends the user's other logins */
  begin(
    userId: string,
    login: BotLogin,
    begin: (endOthers: () => void) => Promise<LoginStep>,
  ): Promise<LoginStep> {
    this.logins.set(login.id, login)
    return this.lead(userId, login.id, () =>
      begin(() => {
        for (const [id, other] of this.logins)
          if (other.isOf(userId) && other !== login) this.logins.delete(id)
      }),
    )
  }

  /** Takes a login to its next step, and forgets it once it is over. */
  async lead(
    userId: string,
    processId: string,
    next: (login: BotLogin) => Promise<LoginStep>,
  ): Promise<LoginStep> {
    const login = this.logins.get(processId)
    if (!login) throw new GatewayError('not_found', `the ${this.platform} bridge no longer knows this login`)
    try {
      const step = await next(login)
      if (step.kind === 'complete') this.completed(userId)
      return step
    } finally {
      if (login.isOver) this.logins.delete(processId)
    }
  }

  isAt(step: AskingStep): boolean {
    return this.logins.get(step.processId)?.isAt(step) ?? false
  }

  async cancel(processId: string): Promise<void> {
    const login = this.logins.get(processId)
    this.logins.delete(processId)
    await login?.cancel()
  }
}

/** @throws GatewayError not_supported where the bot lists no login */
function loginLine(platform: string, { flows, areCommands }: Learned, flow: string): CommandLine {
  if (!areCommands) return commandLine('login', flow)
  const command = flows.find(({ id }) => id === flow) ?? (flow === ONLY_FLOW.id ? flows[0] : undefined)
  if (command) return commandLine(command.id)
  const problem = `the ${platform} bridge's bot lists no login that we know how to begin`
  throw new GatewayError('not_supported', problem)
}

/** A bot obeys commands even while it waits for an answer: a password must not log out a device. */
function refuseCommands(
  platform: string,
  commands: Help['commands'],
  fields: Readonly<Record<string, string>>,
): void {
  for (const [field, value] of Object.entries(fields)) {
    const [first = '', second = ''] = value.trim().split(/\s+/)
    const command = (first.startsWith('!') ? second : first).toLowerCase()
    if (commands.has(command))
      throw new GatewayError(
        'bad_request',
        `${field}: the ${platform} bridge's bot would obey ${command} as a command`,
      )
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break is one of them
    if (/[\u0000-\u001f\u007f]/.test(value))
      throw new GatewayError('bad_request', `${field}: expected no control characters`)
  }
}
