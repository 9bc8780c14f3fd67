/**
 * Notices that a bridge has just come up. Many bridges open their port before loading their logins:
 * a call about a login, or a message, that comes too early is answered without it, and some never
 * load it then until a restart. So such a bridge is left alone until it reports a state, showing
 * that it knows its logins, or for ten seconds.
 *
 * A kept-open connection reveals a restart by its end: a restart may be shorter than the pause
 * between two requests. When we start, nobody knows how long a bridge has run, so it counts as new.
 */
import { EventEmitter, once } from 'node:events'
import { GatewayError } from '../domain/errors.ts'
import { after, type Clock } from '../lib/clock.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import type { Logger } from '../lib/logger.ts'
import { type KeptAnswer, KeptConnection } from './kept-connection.ts'
import { PROXY_STATUSES } from './provisioning-errors.ts'

/** A silent bridge has loaded its logins by then, in milliseconds. */
const SETTLED_AFTER_MS = 10_000
/** Milliseconds between requests on the kept connection: no server closes an idle one that soon. */
const LOOK_MS = 1_000
/** Milliseconds between tries to reach a bridge that is down. */
const RETRY_MS = 500
/** A bridge that takes longer to answer counts as down, in milliseconds. */
const PATIENCE_MS = 10_000
/** Seconds after which a caller may try again. */
const RETRY_AFTER_S = 3
/**
 * mautrix bridges, in Go and in Python, answer 500 here until they have reached their homeserver.
 * Other bridges answer 404.
 */
const READY_PATH = '/_matrix/mau/ready'

/** The bridge has just come up: its logins aren't known yet, and nothing is wrong. */
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
  /** When it last answered, or its program was started, by the steady clock. */
  private seenAt = Number.NEGATIVE_INFINITY
  private hasToldWhileDown = false
  private hasFailed = false
  private connection: KeptConnection | undefined
  private readonly stopping = new AbortController()
  /** Ends the wait before the next look. */
  private hurry = new AbortController()
  /** Ends the wait for a bridge that has come up to load its logins. */
  private endSettling: () => void = () => undefined
  private readonly changes = new EventEmitter().setMaxListeners(0)

  constructor(private readonly options: StartWatchOptions) {
    void this.run()
  }

  stop(): void {
    this.stopping.abort()
    this.endSettling()
    this.hurry.abort()
    this.connection?.end(new Error('not needed any more'))
    this.wake()
  }

  /** Call it when the bridge reports a state, which it does once it knows its logins. */
  noteState(): void {
    if (this.phase === 'down') {
      // Counts only once the bridge is reachable: it may be the ended program's last word.
      this.hasToldWhileDown = true
      this.hurry.abort()
    } else this.settle()
  }

  /** Call it when the bridge's program has been started: it comes up soon. */
  noteStarted(): void {
    this.seenAt = this.options.clock.steady()
  }

  /** Call it when the bridge's program has ended: it must not count as ready meanwhile. */
  noteStopped(): void {
    this.wentDown('it was stopped')
  }

  /**
   * Tries a bridge that is down once more, unless the watch has stopped.
   * @throws GatewayError bridge_unavailable; BridgeStarting while it must not be called
   */
  async check(): Promise<void> {
    // After the stop nothing changes any more, so waiting would never end.
    if (this.phase === 'down' && !this.stopping.signal.aborted) {
      this.hurry.abort()
      await this.nextChange()
    }
    this.refuseUnlessReady()
  }

  /**
   * Like `check`, but waits for a bridge that is starting, was started recently, or answered
   * recently and so may be restarting.
   * @param withinMs longest wait, and how recently
   */
  async started(withinMs: number): Promise<void> {
    const late = new AbortController()
    const cancel = after(this.options.clock, withinMs, () => late.abort())
    await this.check().catch(() => undefined)
    while (!late.signal.aborted && this.mayComeUp(withinMs)) await this.nextChange(late.signal)
    cancel()
    this.refuseUnlessReady()
  }

  /** True when the bridge may be asked about logins, and sent something. */
  get isReady(): boolean {
    return this.phase === 'ready'
  }

  /** Resolves when the bridge's state may have changed, or when the signal aborts. */
  async nextChange(signal?: AbortSignal): Promise<void> {
    await once(this.changes, 'change', signal ? { signal } : {}).catch(() => undefined)
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
   * @returns when a connection that served only one answer has ended
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
    const late = Object.assign(new Error('no answer'), { name: 'TimeoutError' })
    return connection.ask().finally(after(this.options.clock, PATIENCE_MS, () => connection.end(late)))
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
    this.endSettling = after(this.options.clock, SETTLED_AFTER_MS, () => this.settle())
    if (this.hasToldWhileDown) this.settle()
  }

  private settle(): void {
    this.endSettling()
    this.hasToldWhileDown = false
    if (this.phase !== 'ready') this.log('info', 'a bridge is ready')
    this.phase = 'ready'
    this.wake()
  }

  private wentDown(problem: string): void {
    this.endSettling()
    this.hasToldWhileDown = false
    // A bridge that is yet to come up, such as one we have just started, is no cause for worry.
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
    this.changes.emit('change')
  }

  private async pause(ms: number): Promise<void> {
    this.hurry = new AbortController()
    if (!this.stopping.signal.aborted) await this.options.clock.sleep(ms, this.hurry.signal)
  }
}
