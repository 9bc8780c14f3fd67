/**
 * Pushes the stream to appservices, one transaction at a time and in order, until each is
 * acknowledged. An event that a service will never take is given up alone, so that it doesn't hold
 * up those behind it.
 *
 * Each appservice has a stored cursor: `position`, up to which it acknowledged, and the end of a
 * running transaction, written before it is sent. So after a crash the same transaction id carries
 * the same events. Under load one acknowledgement and the next claim share a write.
 * @see https://spec.matrix.org/v1.12/application-service-api/#pushing-events
 */
import { backoffMs } from '../../lib/backoff.ts'
import { type Refusal, refusalOf } from '../../lib/refusal.ts'
import type { Core } from '../core.ts'
import type { AppserviceRow } from '../store/appservices.ts'
import { askAppservice, isReachable } from './appservices.ts'
import { type Batch, buildTransaction } from './transactions.ts'

const RETRY = { baseMs: 100, capMs: 30_000 }
/** Tries before a refusal is final: a service being reconfigured may accept a moment later. */
const REFUSALS = 3
const REQUEST_TIMEOUT_MS = 60_000
const RETRY_AFTER_ERROR_MS = 1_000
/** How long a stop waits for the answer to a transaction being sent. */
const STOP_GRACE_MS = 1_000
/**
 * How long an acknowledgement waits to be stored with the next claim. A crash before that repeats
 * the transaction under the same id, as a crash before the acknowledgement would.
 */
const ACK_DELAY_MS = 50
/** After skipping this many events, an idle cursor is stored to shorten the next start's scan. */
const IDLE_DRIFT = 2_000

export class Pusher {
  private readonly stopping = new AbortController()
  private pending = true
  private wakeUp: (() => void) | undefined
  private giveUp: (() => void) | undefined
  private attempts = 0
  /** True while the database records a running transaction. */
  private claimed: boolean
  private position: number
  private stored: number
  private txnCounter: number
  private inFlightTo: number | null
  private typingSeen: number
  private running: Promise<void> | undefined
  /** Up to this position events are pushed one by one. */
  private singlyTo = 0

  constructor(
    private readonly core: Core,
    private readonly row: AppserviceRow,
  ) {
    this.position = row.position
    this.stored = row.position
    this.txnCounter = row.txn_counter
    this.inFlightTo = row.in_flight_to
    this.claimed = row.in_flight_to !== null
    this.typingSeen = core.typing.position
  }

  start(): void {
    this.running ??= this.keepRunning()
  }

  /** Restarts after errors, so that a full disk doesn't end the pushing. */
  private async keepRunning(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        await this.run()
      } catch (error) {
        this.core.logger.error({ error, appservice: this.row.id }, 'pushing to an application service failed')
        await this.sleep(RETRY_AFTER_ERROR_MS)
      }
    }
  }

  /** Call it when there may be something to push. */
  nudge(): void {
    this.pending = true
    if (this.attempts === 0) this.wakeUp?.()
  }

  /** The appservice is reachable again: skips the wait before the next try. */
  resume(): void {
    this.attempts = 0
    this.nudge()
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    this.wakeUp?.()
    const done = new AbortController()
    const grace = this.core.clock.sleep(STOP_GRACE_MS, done.signal).then(() => this.giveUp?.())
    await this.running
    done.abort()
    await grace
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      this.pending = false
      const batch = await this.nextBatch()
      if (!batch) {
        if (!this.pending) await this.sleep(this.isUnstored ? ACK_DELAY_MS : Number.POSITIVE_INFINITY)
        if (!this.pending && this.isUnstored) await this.store()
        continue
      }
      // The transaction's extent is stored before it is sent, with earlier acknowledgements.
      if (this.inFlightTo !== batch.to) await this.store(this.txnCounter + 1, batch.to)
      const outcome = await this.deliver(batch)
      if (outcome === 'stopped') return
      if (outcome === 'refused' && batch.events > 1) {
        // One event is refused and blocks the others: push them one by one.
        this.singlyTo = batch.to
        this.inFlightTo = null
        continue
      }
      if (outcome === 'refused')
        this.core.logger.error(
          { appservice: this.row.id, position: batch.to },
          'an event was given up: its application service will never take it',
        )
      this.position = batch.to
      this.inFlightTo = null
      this.typingSeen = batch.typingTo
    }
    if (this.inFlightTo === null && this.isUnstored) await this.store()
  }

  private async nextBatch(): Promise<Batch | undefined> {
    while (!this.stopping.signal.aborted) {
      const appservice = this.core.appservices.get(this.row.num)
      if (!appservice || !isReachable(appservice.delivery)) return undefined
      const end = this.inFlightTo ?? this.core.stream.position
      if (this.position >= end && this.core.typing.position <= this.typingSeen) {
        if (this.inFlightTo === null) return undefined
        this.inFlightTo = null
        continue
      }
      const { position: from, typingSeen: typingFrom } = this
      const maxEvents = from < this.singlyTo ? { maxEvents: 1 } : {}
      const batch = await buildTransaction(this.core, appservice, { from, end, typingFrom, ...maxEvents })
      if (!batch.empty) return batch
      this.position = batch.to
      this.typingSeen = batch.typingTo
      if (this.isUnstored && this.position < end) await this.store()
    }
    return undefined
  }

  /** True when the database should record that everything up to `position` is done. */
  private get isUnstored(): boolean {
    if (this.inFlightTo !== null) return false
    return this.claimed || this.position - this.stored > IDLE_DRIFT
  }

  private async store(txnCounter = this.txnCounter, inFlightTo: number | null = null): Promise<void> {
    const { row, position } = this
    await this.core.commit(() =>
      this.core.appserviceRows.setProgress(position, txnCounter, inFlightTo, row.num),
    )
    this.txnCounter = txnCounter
    this.inFlightTo = inFlightTo
    this.stored = position
    this.claimed = inFlightTo !== null
  }

  /** Sends until the batch is acknowledged or finally refused. */
  private async deliver(batch: Batch): Promise<'acknowledged' | 'refused' | 'stopped'> {
    const { signal } = this.stopping
    const path = `/_matrix/app/v1/transactions/${this.row.txn_prefix}-${this.txnCounter}`
    this.attempts = 0
    let refusals = 0
    while (!signal.aborted) {
      await this.core.appservices.get(this.row.num)?.delivery?.untilReady?.(signal)
      const outcome = signal.aborted ? 'passing' : await this.attempt(path, batch.body)
      refusals = outcome === 'final' ? refusals + 1 : 0
      if (outcome === 'acknowledged' || refusals === REFUSALS) {
        this.attempts = 0
        return outcome === 'acknowledged' ? outcome : 'refused'
      }
      this.attempts++
      if (!signal.aborted) await this.sleep(backoffMs(this.attempts, RETRY))
    }
    return 'stopped'
  }

  private async attempt(path: string, body: string): Promise<'acknowledged' | Refusal> {
    const delivery = this.core.appservices.get(this.row.num)?.delivery
    if (!isReachable(delivery)) return 'passing'
    const controller = new AbortController()
    const timer = delivery.deliver ? undefined : setTimeout(() => controller.abort(), REQUEST_TIMEOUT_MS)
    const givenUp = new Promise<undefined>(resolve => {
      this.giveUp = () => {
        controller.abort()
        resolve(undefined)
      }
    })
    try {
      const answer = askAppservice(delivery, 'PUT', path, body, controller.signal)
      const response = await Promise.race([answer, givenUp])
      if (response === undefined) return 'passing'
      if (response.body) await response.body.cancel()
      if (response.ok) return 'acknowledged'
      this.core.logger.warn({ appservice: this.row.id, status: response.status }, 'a transaction was refused')
      return refusalOf(response.status)
    } catch (error) {
      this.core.logger.warn({ appservice: this.row.id, error: String(error) }, 'a transaction failed')
    } finally {
      clearTimeout(timer)
      this.giveUp = undefined
    }
    return 'passing'
  }

  /** Sleeps until a nudge (while waiting to retry: a resume), `ms` or the stop. */
  private async sleep(ms: number): Promise<void> {
    const controller = new AbortController()
    this.wakeUp = () => controller.abort()
    if (this.stopping.signal.aborted) controller.abort()
    if (Number.isFinite(ms)) await this.core.clock.sleep(ms, controller.signal)
    else if (!controller.signal.aborted)
      await new Promise<void>(resolve => {
        controller.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    this.wakeUp = undefined
  }
}
