/**
 * Logins by conversation with a bridge's bot: its messages in the login's room become steps; the
 * user's input is sent there, then redacted. No message names its login, so each has its own room.
 */
import { GatewayError } from '../domain/errors.ts'
import type { AskingStep, LoginStep } from '../domain/login-steps.ts'
import type { BridgeLogin, MatrixSession, RoomEvent } from '../domain/ports.ts'
import type { LinkField } from '../domain/views/link.ts'
import type { Clock } from '../lib/clock.ts'
import { bytesAtMost } from '../lib/peer-request.ts'
import { timeOrderedId } from '../lib/tokens.ts'
import type { CommandLine } from './bot-commands.ts'
import {
  type BotRoom,
  failureOf,
  isRedactionOf,
  isSaidBy,
  openBotRoom,
  silent,
  untilDefined,
} from './bot-room.ts'
import {
  asksForSomething,
  type BotPicture,
  COOKIES,
  isAboutPrefix,
  type LoginSaying,
  loginSaying,
  promptedField,
  SKIP,
} from './bot-texts.ts'
import { CREDENTIAL } from './provisioning-answers.ts'
import { inputRefused } from './provisioning-errors.ts'

export interface BotLoginOptions {
  platform: string
  session: MatrixSession
  /** Matrix user id of the bot. */
  bot: string
  /** Login being renewed. */
  replaces: string | null
  /**
   * Asks the bot for the current logins, without a cache.
   * @param leftMs time limit; by default that of any command
   */
  logins(leftMs?: LeftMs): Promise<BridgeLogin[]>
  clock: Clock
}

/** Returns the milliseconds left for something. */
export type LeftMs = () => number

type NextSaying = LoginSaying | { kind: 'withdrawn' }

/** How long the next step may take after a message: bridges connect to their network first. */
const STEP_PATIENCE_MS = 45_000
/** After plain words or a withdrawn QR code, the step follows soon or never. */
const QUIET_MS = 3_000
/** How long a login may take to be listed after the bot reported success. */
const LISTED_WITHIN_MS = 10_000
/** Pictures shown beside one question, and the largest of them: captchas are smaller. */
const MAX_PICTURES = 5
const MAX_PICTURE_BYTES = 512 * 1024

/** A running login. */
export class BotLogin {
  readonly id = timeOrderedId('bot_')
  /** True once there is nothing more to wait for or to submit. */
  isOver = false
  /** Last event read. */
  private cursor = ''
  /** Other messages of the bot, until the next step. */
  private instructions: string[] = []
  /** Pictures that the bot sent before its next question. */
  private pictures: BotPicture[] = []
  /** Our last message to the bot. */
  private said = ''
  /** Event of the QR code on display. */
  private shown: string | null = null
  /** Step that waits for input. */
  private asking: AskingStep | null = null
  private steps = 0

  private constructor(
    private readonly options: BotLoginOptions,
    private readonly room: BotRoom,
    private readonly before: readonly BridgeLogin[],
  ) {}

  static async open(options: BotLoginOptions, leftMs: LeftMs): Promise<BotLogin> {
    const before = await options.logins(leftMs)
    return new BotLogin(
      options,
      await openBotRoom(options, options.session, options.bot, null, leftMs()),
      before,
    )
  }

  /**
   * @param line the command that starts it
   * @param leftMs time left for the first step
   * @param endOthers ends the user's other logins: a bot has one at a time for each user
   */
  async begin(line: CommandLine, leftMs: LeftMs, endOthers: () => void): Promise<LoginStep> {
    await this.say(line)
    const patienceMs = leftMs()
    const saying = await this.nextSaying(patienceMs)
    if (saying?.kind === 'failed') throw this.over(this.cannotStart(saying.message))
    if (saying?.kind !== 'busy') return this.stepAfter(saying, patienceMs)
    // Drops an abandoned login.
    endOthers()
    await this.say('cancel')
    await this.nextSaying(QUIET_MS)
    this.instructions = []
    await this.say(line)
    const leftForStepMs = leftMs()
    return this.stepAfter(await this.nextSaying(leftForStepMs), leftForStepMs)
  }

  /** Waits until what is on display changes. */
  async wait(display: string, signal: AbortSignal): Promise<LoginStep> {
    for (;;) {
      const saying = await this.nextSaying(Number.POSITIVE_INFINITY, signal)
      if (signal.aborted) throw new GatewayError('bridge_error', 'the login was cancelled')
      // The bot redacts the QR code at the end, and before a step of another kind.
      if (saying?.kind === 'withdrawn') {
        const next = await this.nextSaying(QUIET_MS, signal)
        if (next) return this.stepOf(next)
        const login = this.newIn(await this.options.logins())
        if (login) return this.end(login.id)
        throw this.over(this.failure('the login ended without a word'))
      }
      // Words while something is on display are no new step.
      if (saying !== undefined || display === 'nothing') return this.stepOf(saying)
    }
  }

  async submit(step: AskingStep, value: string): Promise<LoginStep> {
    this.asking = null
    const saidId = await this.say(value === '' ? SKIP : value)
    try {
      const saying = await this.nextSaying(STEP_PATIENCE_MS)
      if (saying?.kind === 'refused') {
        this.asking = step
        throw inputRefused(saying.message)
      }
      if (saying?.kind === 'failed') throw this.over(inputRefused(saying.message))
      return await this.stepAfter(saying, STEP_PATIENCE_MS)
    } finally {
      // Passwords and codes shouldn't stay in a room; a failed redaction is no reason to fail.
      await this.room.redact(saidId).catch(() => undefined)
    }
  }

  isAt(step: AskingStep): boolean {
    return this.asking === step
  }

  async cancel(): Promise<void> {
    this.isOver = true
    await this.room.say('cancel')
  }

  isOf(userId: string): boolean {
    return this.options.session.userId === userId
  }

  /** Reading goes on behind it. @returns the event id */
  private async say(text: string): Promise<string> {
    this.said = await this.room.say(text)
    this.cursor = this.said
    return this.said
  }

  /** Waits for the next message that matters to the login; collects others as instructions. */
  private async nextSaying(patienceMs: number, signal?: AbortSignal): Promise<NextSaying | undefined> {
    const { clock } = this.options
    let quietFrom: number | null = null
    const look = async () => {
      for (const event of await this.room.after(this.cursor)) {
        this.cursor = event.event_id
        const saying = this.sayingOf(event)
        if (saying === undefined) continue
        if (saying.kind === 'picture') this.pictures.push(saying.picture)
        else if (saying.kind === 'says') this.instructions.push(saying.text)
        else return saying
        quietFrom = clock.steady()
      }
      return quietFrom !== null && clock.steady() - quietFrom >= QUIET_MS ? null : undefined
    }
    return (await untilDefined(clock, patienceMs, look, signal)) ?? undefined
  }

  private sayingOf(event: RoomEvent): NextSaying | undefined {
    if (isRedactionOf(event, this.shown)) {
      this.shown = null
      return { kind: 'withdrawn' }
    }
    const failure = failureOf(event, this.options.bot, this.said)
    if (failure !== null) return { kind: 'failed', message: failure }
    // A message redacted meanwhile has no content left.
    if (!isSaidBy(this.options.bot, event) || Object.keys(event.content).length === 0) return undefined
    const saying = loginSaying(event)
    if (saying.kind === 'says' && isAboutPrefix(saying.text)) return undefined
    if (saying.kind === 'qr') this.shown ??= event.event_id
    return saying
  }

  /** @param patienceMs how long `saying` was waited for */
  private stepAfter(saying: NextSaying | undefined, patienceMs: number): Promise<LoginStep> {
    if (saying === undefined && this.instructions.length === 0)
      throw this.over(silent(this.options.platform, patienceMs))
    return this.stepOf(saying)
  }

  private async stepOf(saying: NextSaying | undefined): Promise<LoginStep> {
    switch (saying?.kind) {
      case 'qr':
      case 'code':
      case 'emoji':
        return { ...this.head(), kind: 'display', display: saying.kind, data: saying.data, image_url: null }
      case 'prompt':
        return this.askFor(saying.field)
      case 'cookies': {
        const page = { url: saying.url, user_agent: null, extract_js: null, wait_for_url_pattern: null }
        this.asking = { ...this.head(), kind: 'cookies', fields: [COOKIES], page }
        return this.asking
      }
      case 'passkey': {
        const { url, publicKey } = saying
        this.asking = { ...this.head(), kind: 'passkey', url, publicKey, fields: [CREDENTIAL] }
        return this.asking
      }
      case 'succeeded':
        return this.complete(saying.text)
      case 'failed':
      case 'refused':
        throw this.over(this.failure(saying.message))
      case 'busy':
        throw this.over(this.failure('another login is under way'))
      default:
        return this.stepAfterWords()
    }
  }

  /** After plain words: an end in the bot's own words, an older bridge's question, or a wait. */
  private async stepAfterWords(): Promise<LoginStep> {
    const words = this.instructions.join('\n')
    const login = this.newIn(await this.options.logins())
    if (login) return this.end(login.id)
    if (asksForSomething(words)) return this.askFor(promptedField(this.instructions.at(-1) ?? words))
    return { ...this.head(), kind: 'display', display: 'nothing', data: '', image_url: null }
  }

  private async askFor(field: LinkField): Promise<AskingStep> {
    const pictures = this.pictures.splice(0).slice(-MAX_PICTURES)
    const attachments = (await Promise.all(pictures.map(picture => this.attached(picture)))).flat()
    this.asking = { ...this.head(), kind: 'input', fields: [field], attachments }
    return this.asking
  }

  /** A picture that can't be had leaves the question without it: the person may ask for another. */
  private async attached({ mxcUri, fileName, mimeType }: BotPicture) {
    try {
      const bytes = await bytesAtMost(await this.options.session.download(mxcUri), MAX_PICTURE_BYTES)
      return [{ file_name: fileName, mime_type: mimeType, content: bytes.toString('base64') }]
    } catch {
      return []
    }
  }

  private head() {
    const instructions = this.instructions.join('\n')
    this.instructions = []
    this.steps += 1
    return { processId: this.id, stepId: String(this.steps), txnId: null, instructions }
  }

  private async complete(text: string): Promise<LoginStep> {
    const { logins, clock } = this.options
    const login = await untilDefined(clock, LISTED_WITHIN_MS, async () => {
      const listed = await logins()
      return this.newIn(listed) ?? listed.find(({ id, name }) => text.includes(id) || text.includes(name))
    })
    if (login) return this.end(login.id)
    throw this.over(this.failure(`the login is complete but not listed (${text})`))
  }

  /** The login this one created or renewed, if listed. */
  private newIn(now: readonly BridgeLogin[]): BridgeLogin | undefined {
    const { replaces } = this.options
    const added = now.find(({ id }) => !this.before.some(known => known.id === id))
    if (added) return added
    const again = now.find(({ id }) => id === replaces)
    const was = this.before.find(({ id }) => id === replaces)
    return again && again.stateEvent === 'CONNECTED' && was?.stateEvent !== 'CONNECTED' ? again : undefined
  }

  private end(loginId: string): LoginStep {
    this.isOver = true
    return { kind: 'complete', loginId }
  }

  private over(error: GatewayError): GatewayError {
    this.isOver = true
    this.asking = null
    return error
  }

  private failure(message: string): GatewayError {
    if (/time[d-]?[\s-]?out|expired/i.test(message)) return new GatewayError('bridge_timeout', message)
    const told = this.instructions.length > 0 ? ` (${this.instructions.join(' ')})` : ''
    return new GatewayError('bridge_error', `the ${this.options.platform} bridge's bot: ${message}${told}`)
  }

  private cannotStart(message: string): GatewayError {
    if (/^Invalid login flow/i.test(message)) return new GatewayError('bad_request', `flow: ${message}`)
    if (!/^Failed to (start|prepare)/i.test(message)) return this.failure(message)
    const told = `the ${this.options.platform} bridge can't start a login: ${message}`
    return new GatewayError('bridge_unavailable', told)
  }
}
