/**
 * One link: walks a bridge's login from step to step, shows each to whoever follows, and takes
 * answers. Answers are passed on and forgotten; neither they nor the words of a bridge that may
 * repeat them reach the log.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { AskingStep, LoginStep } from '../../domain/login-steps.ts'
import type { Bridge } from '../../domain/ports.ts'
import type { LinkEnd, LinkEvent, LinkState, LinkView } from '../../domain/views/link.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { maskAddresses } from '../../lib/mask-addresses.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { checkedAnswers, forget, knownOf, suffices, tiedToFields } from './link-answers.ts'
import { endOf, eventOf, refused, stateOf, wordsOf } from './link-events.ts'

export interface LinkOptions {
  identityId: string
  userId: string
  platform: string
  flow: string
  bridge: Bridge
  /** Answers known beforehand, by a field's id or type. */
  inputs: Readonly<Record<string, string>>
  /** The device of a login that is complete. */
  connected(loginId: string): Promise<LinkEvent & { type: 'connected' }>
  /** Hears of each other state of a link that was begun. */
  changed?: (link: { id: string; identityId: string; platform: string }, state: LinkState) => void
  clock: Clock
  logger: Logger
}

/** A login that asks for something (a code, a password) is given up after this. */
const INPUT_PATIENCE_MS = 600_000
/**
 * Milliseconds for which bridges show a step at least before they end the login, unless they show a
 * new one.
 */
const SHOWN_FOR_MS = 90_000
/** A QR code is renewed more often, as networks let one serve for 20 s and longer. */
const QR_SHOWN_FOR_MS = 20_000
/** A login is given up after this; newer bridges do so themselves. */
const LIFETIME_MS = 1_800_000

/** One for all: each link is remembered, and without it would hold an error with a stack. */
const OVER = new Error('the link has ended')

interface Question {
  step: AskingStep
  /** When it is given up. */
  until: number
  answered(next: LoginStep): void
  failed(error: GatewayError): void
}

export class Link {
  readonly id = timeOrderedId('lnk_')
  readonly identityId: string
  readonly platform: string
  /** When it ended; null while it is under way. */
  endedAt: number | null = null
  latest: LinkEvent | null = null
  /** Why it ended, if the bridge or the answer was to blame. */
  failure: unknown = null

  private readonly createdAt: number
  /** When it is given up, and until when what it shows is good at least, by the steady clock. */
  private readonly endsAt: number
  private goodUntil = 0
  private shownExpiry = 0
  private qrShownForMs = QR_SHOWN_FOR_MS
  private qrShownAt: number | null = null
  private readonly known: Map<string, string>
  private readonly listeners = new Set<(event: LinkEvent) => void>()
  /** Aborted when the link has ended, however it did. */
  private readonly over = new AbortController()
  private processId: string | null = null
  private question: Question | null = null
  private hasTyped = false

  constructor(private readonly options: LinkOptions) {
    this.identityId = options.identityId
    this.platform = options.platform
    this.createdAt = options.clock.now()
    this.endsAt = options.clock.steady() + LIFETIME_MS
    this.known = new Map(Object.entries(options.inputs))
  }

  /** Walks from the first step to the end of the link. @returns once there is something to show */
  begin(first: LoginStep): Promise<void> {
    const shown = this.nextEvent()
    const { clock } = this.options
    void clock
      .sleep(LIFETIME_MS, this.over.signal)
      .then(() => this.end('timeout', 'the login timed out: it was not finished in time'))
    void this.walk(first).catch(error => this.fail(error))
    return shown
  }

  /** Cancels the login at a bridge whose first step comes after the link has ended. */
  giveUp(first: LoginStep): void {
    if (first.kind === 'complete') return
    this.processId = first.processId
    this.cancelAtBridge()
  }

  follow(listener: (event: LinkEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** @returns once the bridge has answered @throws as Linking.answer */
  async answer(inputs: Readonly<Record<string, string>>): Promise<void> {
    const { question } = this
    if (!question) throw new GatewayError('conflict', this.whyNothingIsAsked())
    const { fields } = question.step
    const answers = { ...knownOf(fields, this.known), ...tiedToFields(fields, inputs) }
    const checked = checkedAnswers(fields, answers)
    this.question = null
    const shown = this.nextEvent()
    try {
      question.answered(await this.submit(question.step, checked))
    } catch (error) {
      throw await this.afterRefusal(question, error)
    }
    await shown
  }

  /** Ends the link from our side, at the bridge as well. Nothing happens to one that has ended. */
  end(code: LinkEnd, message: string): void {
    if (this.endedAt !== null) return
    this.logEnd(code, message)
    this.show({ type: 'error', code, message })
    this.cancelAtBridge()
  }

  /** Ends the link because the bridge couldn't go on, or not even start. */
  fail(error: unknown): void {
    if (this.endedAt !== null) return
    const message = wordsOf(error)
    const code = endOf(error)
    // A bridge may repeat what was typed.
    this.logEnd(code, this.hasTyped ? 'not logged, as something was typed in' : message)
    this.failure = error
    this.show({ type: 'error', code, message })
    this.cancelAtBridge()
  }

  private logEnd(code: LinkEnd, reason: string): void {
    const { platform, id: link } = this
    this.options.logger.info(
      { platform, link, code, reason: maskAddresses(reason) },
      'a link ended without success',
    )
  }

  view(): LinkView {
    const { platform, options, latest, createdAt, id } = this
    if (latest === null) throw new Error('a link is seen before its first step')
    return {
      id,
      platform,
      flow: options.flow,
      state: stateOf(latest),
      step: latest,
      created_at: rfc3339(createdAt),
      expires_at: this.endedAt === null ? rfc3339(this.expiresAt()) : null,
    }
  }

  private async walk(first: LoginStep): Promise<void> {
    for (let step = first; this.endedAt === null; ) {
      if (step.kind === 'complete') return this.complete(await this.options.connected(step.loginId))
      this.processId = step.processId
      step = step.kind === 'display' ? await this.display(step) : await this.ask(step)
    }
  }

  private complete(event: LinkEvent & { type: 'connected' }): void {
    if (this.endedAt !== null) return
    const { platform, id: link } = this
    this.options.logger.info(
      { platform, link, device_id: maskAddresses(event.device_id) },
      'a device was linked',
    )
    this.show(event)
  }

  private display(step: LoginStep & { kind: 'display' }): Promise<LoginStep> {
    this.goodUntil = this.options.clock.steady() + this.shownForMs(step)
    this.show(eventOf(step))
    return this.options.bridge.waitForLogin(this.options.userId, step, this.over.signal)
  }

  /** A bridge that renews its codes more often than others gives each less time. */
  private shownForMs({ display }: LoginStep & { kind: 'display' }): number {
    if (display !== 'qr') return SHOWN_FOR_MS
    const now = this.options.clock.steady()
    if (this.qrShownAt !== null) this.qrShownForMs = Math.min(this.qrShownForMs, now - this.qrShownAt)
    this.qrShownAt = now
    return this.qrShownForMs
  }

  private ask(step: AskingStep): Promise<LoginStep> {
    const known = knownOf(step.fields, this.known)
    if (Object.keys(known).length > 0 && suffices(step.fields, known)) return this.answerWith(step, known)
    const { promise, resolve: answered, reject: failed } = Promise.withResolvers<LoginStep>()
    this.pose({ step, until: 0, answered, failed })
    this.show(eventOf(step))
    return promise
  }

  private async answerWith(step: AskingStep, known: Record<string, string>): Promise<LoginStep> {
    try {
      return await this.submit(step, checkedAnswers(step.fields, known))
    } catch (error) {
      throw refused(step, error)
    }
  }

  private submit(step: AskingStep, answers: Record<string, string>): Promise<LoginStep> {
    forget(step.fields, this.known)
    this.hasTyped = true
    return this.options.bridge.submitLogin(this.options.userId, step, answers)
  }

  private pose(question: Question): void {
    const { clock } = this.options
    question.until = clock.steady() + INPUT_PATIENCE_MS
    this.goodUntil = question.until
    this.question = question
    void clock.sleep(INPUT_PATIENCE_MS, this.over.signal).then(() => {
      if (this.question === question && question.until <= clock.steady())
        this.end('timeout', 'the login timed out waiting for input')
    })
  }

  /** Most bridges end a login after a wrong answer; where one goes on, it can be answered again. */
  private async afterRefusal(question: Question, thrown: unknown): Promise<GatewayError> {
    const error = refused(question.step, thrown)
    const { bridge, userId } = this.options
    const mayGoOn = error.code === 'bad_request' && this.endedAt === null
    const goesOn = mayGoOn && (await bridge.isLoginAt(userId, question.step).catch(() => false))
    if (goesOn && this.endedAt === null) {
      this.pose(question)
      return new GatewayError(error.code, `${error.message}; the link goes on, answer again`)
    }
    question.failed(error)
    return new GatewayError(error.code, `${error.message}; the link has ended, start a new one`)
  }

  private whyNothingIsAsked(): string {
    if (this.endedAt !== null) return `the link ${this.id} has ended`
    return this.latest && 'fields' in this.latest
      ? `the link ${this.id} is still busy with the answer before`
      : `the link ${this.id} asks for nothing now`
  }

  private show(event: LinkEvent): void {
    if (this.endedAt !== null) return
    const before = this.latest && stateOf(this.latest)
    this.latest = event
    if (event.type === 'connected' || event.type === 'error') {
      this.endedAt = this.options.clock.now()
      this.question = null
      this.known.clear()
      this.over.abort(OVER)
    }
    for (const listener of this.listeners) listener(event)
    const state = stateOf(event)
    // Whoever asked for a link that ends as it begins has that for an answer.
    if (state !== before && (before !== null || this.endedAt === null)) this.options.changed?.(this, state)
  }

  private nextEvent(): Promise<void> {
    return new Promise(resolve => {
      const unsubscribe = this.follow(() => {
        unsubscribe()
        resolve()
      })
    })
  }

  /**
   * Until when the link is good for sure, in milliseconds since the epoch. No bridge says when it
   * ends a login.
   */
  private expiresAt(): number {
    const { clock } = this.options
    const leftMs = Math.max(0, Math.min(this.endsAt, this.goodUntil) - clock.steady())
    const expiresAt = Math.floor(clock.now() + leftMs)
    // Two clocks may differ by a millisecond: the same end keeps its first time.
    if (Math.abs(expiresAt - this.shownExpiry) > 1) this.shownExpiry = expiresAt
    return this.shownExpiry
  }

  private cancelAtBridge(): void {
    if (this.processId === null) return
    const { bridge, userId, logger } = this.options
    // Bridges up to bridgev2 0.28 have no such call: they cancel when nobody waits any more.
    bridge
      .cancelLogin(userId, this.processId)
      .catch(error => logger.debug({ err: error }, 'cancelling a login failed'))
  }
}
