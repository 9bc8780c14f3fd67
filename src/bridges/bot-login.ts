/**
 * Logins by conversation with a bridge's bot: its messages in the login's room become steps; the
 * user's input is sent there, then redacted. No message names its login, so each has its own room.
 */
import { GatewayError } from '../domain/errors.ts'
import type { AskingStep, LoginStep } from '../domain/login-steps.ts'
import type { BridgeLogin, MatrixSession, RoomEvent } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { timeOrderedId } from '../lib/tokens.ts'
import type { CommandLine } from './bot-commands.ts'
import { type BotRoom, createBotRooms, isSaidBy, silent } from './bot-room.ts'
import { asksForSomething, COOKIES, type LoginSaying, loginSaying, promptedField } from './bot-texts.ts'
import { inputRefused } from './provisioning-errors.ts'

export interface BotLoginsOptions {
  platform: string
  /**
   * Asks the bot for the current logins, without a cache.
   * @param leftMs time limit; by default that of any command
   */
  logins(session: MatrixSession, leftMs?: LeftMs): Promise<BridgeLogin[]>
  clock: Clock
}

/** Returns the milliseconds left for something. */
export type LeftMs = () => number

export interface BotLogins {
  /**
   * @param line the command that starts it
   * @param replaces login being renewed
   * @param leftMs time left for the first step
   */
  start(
    session: MatrixSession,
    bot: string,
    line: CommandLine,
    replaces: string | null,
    leftMs: LeftMs,
  ): Promise<LoginStep>
  wait(step: LoginStep & { kind: 'display' }, signal: AbortSignal): Promise<LoginStep>
  submit(step: AskingStep, fields: Readonly<Record<string, string>>): Promise<LoginStep>
  isAt(step: AskingStep): boolean
  cancel(processId: string): Promise<void>
}

/** A running login. */
interface Process {
  id: string
  session: MatrixSession
  bot: string
  room: BotRoom
  /** Last event read. */
  cursor: string
  before: BridgeLogin[]
  replaces: string | null
  /** Other messages of the bot, until the next step. */
  instructions: string[]
  /** Event of the QR code on display. */
  shown: string | null
  /** Step that waits for input. */
  asking: AskingStep | null
  steps: number
}

type NextSaying = LoginSaying | { kind: 'withdrawn' }

/** How long the next step may take after a message: bridges connect to their network first. */
const STEP_PATIENCE_MS = 45_000
/** After plain words or a withdrawn QR code, the step follows soon or never. */
const QUIET_MS = 3_000
/** How long a login may take to be listed after the bot reported success. */
const LISTED_WITHIN_MS = 10_000

export function createBotLogins({ platform, logins, clock }: BotLoginsOptions): BotLogins {
  const rooms = createBotRooms(platform, clock)
  const processes = new Map<string, Process>()

  /** Waits for the next message that matters to the login; collects others as instructions. */
  async function nextSaying(
    process: Process,
    patienceMs: number,
    signal?: AbortSignal,
  ): Promise<NextSaying | undefined> {
    let quietFrom: number | null = null
    const found = await rooms.untilDefined(
      patienceMs,
      async () => {
        for (const event of await process.room.after(process.cursor)) {
          process.cursor = event.event_id
          const saying = sayingOf(process, event)
          if (saying === undefined) continue
          if (saying.kind !== 'says') return saying
          process.instructions.push(saying.text)
          quietFrom = clock.steady()
        }
        return quietFrom !== null && clock.steady() - quietFrom >= QUIET_MS ? null : undefined
      },
      signal,
    )
    return found ?? undefined
  }

  function sayingOf(process: Process, event: RoomEvent): NextSaying | undefined {
    if (isRedactionOf(event, process.shown)) {
      process.shown = null
      return { kind: 'withdrawn' }
    }
    // A message redacted meanwhile has no content left.
    if (!isSaidBy(process.bot, event) || Object.keys(event.content).length === 0) return undefined
    const saying = loginSaying(event)
    if (saying.kind === 'qr') process.shown ??= event.event_id
    return saying
  }

  /**
   * The step that follows our message.
   * @param patienceMs how long `saying` was waited for
   */
  function stepAfterSaying(process: Process, saying: NextSaying | undefined, patienceMs: number) {
    if (saying === undefined && process.instructions.length === 0)
      throw over(process, silent(platform, patienceMs))
    return stepOf(process, saying)
  }

  async function stepOf(process: Process, saying: NextSaying | undefined): Promise<LoginStep> {
    switch (saying?.kind) {
      case 'qr':
      case 'code':
      case 'emoji':
        return { ...head(process), kind: 'display', display: saying.kind, data: saying.data, image_url: null }
      case 'prompt':
        return ask(process, { ...head(process), kind: 'input', fields: [saying.field], attachments: [] })
      case 'cookies':
        return ask(process, {
          ...head(process),
          kind: 'cookies',
          fields: [COOKIES],
          page: pageAt(saying.url),
        })
      case 'succeeded':
        return complete(process, saying.text)
      case 'failed':
      case 'refused':
        throw over(process, failure(saying.message))
      case 'busy':
        throw over(process, failure('another login is under way'))
      default:
        return stepAfterWords(process)
    }
  }

  /** After plain words: an end in the bot's own words, an older bridge's question, or a wait. */
  async function stepAfterWords(process: Process): Promise<LoginStep> {
    const words = process.instructions.join('\n')
    const login = newLogin(process, await logins(process.session))
    if (login) return end(process, login.id)
    if (asksForSomething(words))
      return ask(process, {
        ...head(process),
        kind: 'input',
        fields: [promptedField(process.instructions.at(-1) ?? words)],
        attachments: [],
      })
    return { ...head(process), kind: 'display', display: 'nothing', data: '', image_url: null }
  }

  function head(process: Process) {
    const instructions = process.instructions.join('\n')
    process.instructions = []
    process.steps += 1
    return { processId: process.id, stepId: String(process.steps), txnId: null, instructions }
  }

  function ask<T extends AskingStep>(process: Process, step: T): T {
    process.asking = step
    return step
  }

  async function complete(process: Process, text: string): Promise<LoginStep> {
    const login = await rooms.untilDefined(LISTED_WITHIN_MS, async () => {
      const listed = await logins(process.session)
      return (
        newLogin(process, listed) ?? listed.find(({ id, name }) => text.includes(id) || text.includes(name))
      )
    })
    if (login) return end(process, login.id)
    throw over(process, failure(`the login is complete but not listed (${text})`))
  }

  function end(process: Process, loginId: string): LoginStep {
    processes.delete(process.id)
    return { kind: 'complete', loginId }
  }

  function over(process: Process, error: GatewayError): GatewayError {
    processes.delete(process.id)
    process.asking = null
    return error
  }

  function failure(message: string): GatewayError {
    if (/time[d-]?[\s-]?out|expired/i.test(message)) return new GatewayError('bridge_timeout', message)
    return new GatewayError('bridge_error', `the ${platform} bridge's bot: ${message}`)
  }

  function processOf(processId: string): Process {
    const process = processes.get(processId)
    if (process) return process
    throw new GatewayError('not_found', `the ${platform} bridge no longer knows this login`)
  }

  async function begin(process: Process, line: CommandLine, leftMs: LeftMs): Promise<LoginStep> {
    process.cursor = await process.room.say(line)
    const patienceMs = leftMs()
    const saying = await nextSaying(process, patienceMs)
    if (saying?.kind !== 'busy') {
      if (saying?.kind === 'failed') throw over(process, cannotStart(saying.message))
      return stepAfterSaying(process, saying, patienceMs)
    }
    // Drops an abandoned login: a bot has one at a time for each user.
    for (const other of [...processes.values()])
      if (other.session.userId === process.session.userId && other !== process) processes.delete(other.id)
    process.cursor = await process.room.say('cancel')
    await nextSaying(process, QUIET_MS)
    process.instructions = []
    process.cursor = await process.room.say(line)
    const leftForStepMs = leftMs()
    return stepAfterSaying(process, await nextSaying(process, leftForStepMs), leftForStepMs)
  }

  function cannotStart(message: string): GatewayError {
    if (/^Invalid login flow/i.test(message)) return new GatewayError('bad_request', `flow: ${message}`)
    if (/^Failed to (start|prepare)/i.test(message))
      return new GatewayError('bridge_unavailable', `the ${platform} bridge can't start a login: ${message}`)
    return failure(message)
  }

  return {
    async start(session, bot, line, replaces, leftMs) {
      const before = await logins(session, leftMs)
      const room = await rooms.open(session, bot, null, leftMs())
      const process: Process = {
        id: timeOrderedId('bot_'),
        session,
        bot,
        room,
        cursor: '',
        before,
        replaces,
        instructions: [],
        shown: null,
        asking: null,
        steps: 0,
      }
      processes.set(process.id, process)
      return begin(process, line, leftMs)
    },

    async wait({ processId, display }, signal) {
      const process = processOf(processId)
      for (;;) {
        const saying = await nextSaying(process, Number.POSITIVE_INFINITY, signal)
        if (signal.aborted) throw new GatewayError('bridge_error', 'the login was cancelled')
        // The bot redacts the QR code at the end, and before a step of another kind.
        if (saying?.kind === 'withdrawn') {
          const after = await nextSaying(process, QUIET_MS, signal)
          return after ? stepOf(process, after) : stepAfterWithdrawal(process)
        }
        // Words while something is on display are no new step.
        if (saying !== undefined || display === 'nothing') return stepOf(process, saying)
      }
    },

    async submit(step, fields) {
      const process = processOf(step.processId)
      const [value = ''] = Object.values(fields)
      process.asking = null
      const saidId = await process.room.say(value)
      process.cursor = saidId
      try {
        const saying = await nextSaying(process, STEP_PATIENCE_MS)
        if (saying?.kind === 'refused') {
          process.asking = step
          throw inputRefused(saying.message)
        }
        if (saying?.kind === 'failed') throw over(process, inputRefused(saying.message))
        return await stepAfterSaying(process, saying, STEP_PATIENCE_MS)
      } finally {
        // Passwords and codes shouldn't stay in a room; a failed redaction is no reason to fail.
        await process.room.redact(saidId).catch(() => undefined)
      }
    },

    isAt: step => processes.get(step.processId)?.asking === step,

    async cancel(processId) {
      const process = processes.get(processId)
      if (!process) return
      processes.delete(processId)
      await process.room.say('cancel')
    },
  }

  async function stepAfterWithdrawal(process: Process): Promise<LoginStep> {
    const login = newLogin(process, await logins(process.session))
    if (login) return end(process, login.id)
    throw over(process, failure('the login ended without a word'))
  }
}

function isRedactionOf({ type, redacts, content }: RoomEvent, eventId: string | null): boolean {
  // Room versions before 11 have `redacts` beside the content, later ones inside.
  return type === 'm.room.redaction' && eventId !== null && (redacts ?? content.redacts) === eventId
}

function pageAt(url: string) {
  return { url, user_agent: null, extract_js: null, wait_for_url_pattern: null }
}

/** The login this process created or renewed, if listed. */
function newLogin({ before, replaces }: Process, now: readonly BridgeLogin[]): BridgeLogin | undefined {
  const added = now.find(({ id }) => !before.some(known => known.id === id))
  if (added) return added
  const again = now.find(({ id }) => id === replaces)
  const was = before.find(({ id }) => id === replaces)
  return again && again.stateEvent === 'CONNECTED' && was?.stateEvent !== 'CONNECTED' ? again : undefined
}
