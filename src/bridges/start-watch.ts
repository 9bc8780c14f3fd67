/**
 * Knows that a bridge has just come up. Many bridges open their port before they have loaded their
 * logins: asked about a login too early, or sent a message, some answer without it, and some never
 * load it then until they are restarted. So a bridge that has come up is left alone until it
 * reports a state, which shows that it knows its logins, or for ten seconds.
 *
 * A restart shows by the end of a connection that is kept open, as it may take less time than lies
 * between two questions. When we start ourselves, nobody knows for how long a bridge has run, and
 * it counts as one that has just come up.
 */
import { GatewayError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import type { Logger } from '../lib/logger.ts'
import { type KeptAnswer, KeptConnection } from './kept-connection.ts'
import { PROXY_STATUSES } from './provisioning-errors.ts'

/** A bridge without a word has loaded its logins by then, in milliseconds. */
const SETTLED_AFTER_MS = 10_000
/**
 * Milliseconds between two questions over the kept connection: no server ends an idle one that
 * soon.
 */
const LOOK_MS = 1_000
/** Between two tries to reach a bridge that is down, in milliseconds. */
const RETRY_MS = 500
/** A bridge that takes longer to answer counts as down, in milliseconds. */
const PATIENCE_MS = 10_000
/** Seconds after which a caller may try again. */
const RETRY_AFTER_S = 3
/**
 * mautrix bridges, in Go and in Python, answer 500 there until they have reached their homeserver.
 * Others don't know it: 404.
 */
const READY_PATH = '/_matrix/mau/ready'

/**
 * The bridge is there, but has just come up: nothing is known of its logins yet, and nothing is
 * wrong with it.
 */
export class BridgeStarting extends GatewayError {
  constructor(platform: string) {
    const message = `the ${platform} bridge has just started, and is given a few seconds to load its logins`
    super('bridge_unavailable', message, RETRY_AFTER_S)
  }
}

export interface StartWatchOptions {
  platform: string
  /** Base URL of the bridge, without a trailing slash. */
  baseUrl: string
  clock: Clock
  logger: Logger
}

export class StartWatch {
  private phase: 'down' | 'starting' | 'ready' = 'down'
  private problem = 'it was not asked yet'
  /** When it was there last, by the steady clock. */
  private seenAt = Number.NEGATIVE_INFINITY
  private hasToldWhileDown = false
  private hasFailed = false
  private connection: KeptConnection | undefined
  private readonly stopping = new AbortController()
  /** Ends the wait before the next look. */
  private hurry = new AbortController()
  private settling = new AbortController()
  private readonly waiting = new Set<() => void>()

  constructor(private readonly options: StartWatchOptions) {
    void this.run()
  }

  stop(): void {
    this.stopping.abort()
    this.settling.abort()
    this.hurry.abort()
    this.connection?.end(new Error('not needed any more'))
    this.wake()
  }

  /** The bridge reported a state, which it does once it knows its logins. */
  noteState(): void {
    if (this.phase === 'down') {
      // Only one that can be reached now has said it: the program before may have, as its last
      // word.
      this.hasToldWhileDown = true
      this.hurry.abort()
    } else this.settle()
  }

  /**
   * Asks a bridge that is down once more whether it is, unless nobody asks it any more.
   * @throws GatewayError bridge_unavailable; BridgeStarting while it may not be asked
   */
  async check(): Promise<void> {
    // After the stop nothing changes any more, so a wait for it would have no end.
    if (this.phase === 'down' && !this.stopping.signal.aborted) {
      this.hurry.abort()
      await this.nextChange()
    }
    this.refuseUnlessReady()
  }

  /**
   * The same, but waits for a bridge that is starting, or was there within that time and so may be
   * restarting.
   * @param withinMs at most this long
   */
  async started(withinMs: number): Promise<void> {
    const late = new AbortController()
    const over = new AbortController()
    void this.options.clock.sleep(withinMs, over.signal).then(() => late.abort())
    await this.check().catch(() => undefined)
    while (!late.signal.aborted && this.mayComeUp(withinMs)) await this.nextChange(late.signal)
    over.abort()
    this.refuseUnlessReady()
  }

  /** True when the bridge may be asked about logins, and sent something. */
  get isReady(): boolean {
    return this.phase === 'ready'
  }

  /**
   * Resolves when something about the bridge has changed, or may have; or when the signal aborts.
   */
  nextChange(signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        this.waiting.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      this.waiting.add(done)
      signal?.addEventListener('abort', done)
      if (signal?.aborted) done()
    })
  }

  private refuseUnlessReady(): void {
    const { platform } = this.options
    if (this.phase === 'starting') throw new BridgeStarting(platform)
    if (this.phase === 'down')
      throw new GatewayError(
        'bridge_unavailable',
        `the ${platform} bridge can't be reached (${this.problem})`,
      )
  }

  private mayComeUp(withinMs: number): boolean {
    if (this.stopping.signal.aborted) return false
    if (this.phase === 'down') return this.options.clock.steady() - this.seenAt < withinMs
    return this.phase === 'starting'
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    const url = new URL(this.options.baseUrl + READY_PATH)
    while (!signal.aborted) {
      const connection: KeptConnection = new KeptConnection(url, () => {
        if (this.connection === connection) this.hurry.abort()
      })
      this.connection = connection
      const isSingleUse = await this.attend(connection).catch(error => {
        if (connection.isSingleUse && this.phase !== 'down') return true
        this.wentDown(connectionProblem(error))
        return false
      })
      this.connection = undefined
      connection.end(new Error('not needed any more'))
      await this.pause(isSingleUse ? LOOK_MS : RETRY_MS)
    }
  }

  /**
   * Rejects when the bridge is gone.
   * @returns when a connection has ended that only served one answer
   */
  private async attend(connection: KeptConnection): Promise<true> {
    for (;;) {
      const answer = await this.answerOf(connection)
      if (this.stopping.signal.aborted) return true
      this.answered(answer)
      if (connection.isSingleUse) return true
      await this.pause(this.phase === 'down' ? RETRY_MS : LOOK_MS)
    }
  }

  private async answerOf(connection: KeptConnection): Promise<KeptAnswer> {
    const answered = new AbortController()
    const late = Object.assign(new Error('no answer'), { name: 'TimeoutError' })
    void this.options.clock.sleep(PATIENCE_MS, answered.signal).then(() => {
      if (!answered.signal.aborted) connection.end(late)
    })
    return connection.ask().finally(() => answered.abort())
  }

  private answered({ status, isJson }: KeptAnswer): void {
    if (PROXY_STATUSES.includes(status)) this.wentDown(`HTTP ${status}`)
    else if (status === 500 && isJson) this.wentDown("it says that it isn't ready yet")
    else {
      this.seenAt = this.options.clock.steady()
      if (this.phase === 'down') this.cameUp()
      this.wake()
    }
  }

  private cameUp(): void {
    this.phase = 'starting'
    this.log('info', 'a bridge has come up: it is left alone until it has loaded its logins')
    const settling = new AbortController()
    this.settling = settling
    void this.options.clock.sleep(SETTLED_AFTER_MS, settling.signal).then(() => {
      if (!settling.signal.aborted) this.settle()
    })
    if (this.hasToldWhileDown) this.settle()
  }

  private settle(): void {
    this.settling.abort()
    this.hasToldWhileDown = false
    if (this.phase !== 'ready') this.log('info', 'a bridge is ready')
    this.phase = 'ready'
    this.wake()
  }

  private wentDown(problem: string): void {
    this.settling.abort()
    this.hasToldWhileDown = false
    // One that is yet to come up, as a program that we have just started, is nothing to worry
    // about.
    if (this.phase !== 'down') this.log('warn', "a bridge can't be reached any more", problem)
    else if (!this.hasFailed) this.log('info', "a bridge can't be reached yet", problem)
    this.hasFailed = true
    this.phase = 'down'
    this.problem = problem
    this.wake()
  }

  private log(level: 'info' | 'warn', what: string, problem?: string): void {
    const { platform, logger } = this.options
    if (!this.stopping.signal.aborted) logger[level]({ platform, ...(problem && { problem }) }, what)
  }

  private wake(): void {
    for (const done of [...this.waiting]) done()
  }

  private async pause(ms: number): Promise<void> {
    this.hurry = new AbortController()
    if (!this.stopping.signal.aborted) await this.options.clock.sleep(ms, this.hurry.signal)
  }
}
