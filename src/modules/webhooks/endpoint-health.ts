/**
 * This process's view of endpoints: which fail now, which of those accept nothing at all, and when
 * their success was last written down. With it a successful try hardly ever writes the webhook's
 * row.
 */
import { LRUCache } from 'lru-cache'
import type { Webhook } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import { probeWaitMs, TRIES_IN_PLACE } from './retry-schedule.ts'

/** Precision of `last_success_at`. */
const SUCCESS_NOTED_MS = 60_000
/** Endpoints remembered at a time. */
const MAX_REMEMBERED = 10_000
/** Lanes in flight to a failing endpoint: many that hang must not use up all lanes together. */
const LANES_WHILE_FAILING = 2

/** Failures of an endpoint without a success between them, in times of `clock.steady()`. */
interface FailingRun {
  since: number
  /** It began before this process, which doesn't know the deliveries that failed then. */
  isInherited: boolean
  failures: number
  ofDelivery: Map<string, { failures: number; since: number }>
  /** Until then its lanes are held. */
  heldUntil: number
}

/** The run of failures that a failed try belongs to. */
export interface Failure {
  /**
   * How long the delivery has failed without anything else getting through, in milliseconds; null
   * if something did.
   */
  failsWithAllForMs: number | null
  /** The endpoint accepts nothing, so its lanes are held; false if this delivery may fail alone. */
  isDown: boolean
}

export class EndpointHealth {
  private readonly runs = new Map<string, FailingRun>()
  private readonly notedAt = new LRUCache<string, number>({ max: MAX_REMEMBERED })

  constructor(private readonly clock: Clock) {}

  /** How many lanes may be in flight to it: `most` if it is healthy. */
  lanesFor(endpoint: string, most: number): number {
    const run = this.runs.get(endpoint)
    if (!run) return most
    if (!isDown(run)) return Math.min(LANES_WHILE_FAILING, most)
    return this.heldForMs(endpoint) === null ? 1 : 0
  }

  /** @returns how long its lanes are still held, in milliseconds; null when they aren't */
  heldForMs(endpoint: string): number | null {
    const leftMs = (this.runs.get(endpoint)?.heldUntil ?? 0) - this.clock.steady()
    return leftMs > 0 ? leftMs : null
  }

  /**
   * @param webhook as it was before the try
   * @param tries of the delivery that count, including this one
   * @param askedWaitMs how long the endpoint asks for no requests
   */
  failed(
    endpoint: string,
    webhook: Pick<Webhook, 'failingSince'>,
    { id, tries }: { id: string; tries: number },
    askedWaitMs: number,
  ): Failure {
    const steady = this.clock.steady()
    const run = this.runs.get(endpoint) ?? this.newRun(webhook)
    this.runs.set(endpoint, run)
    const own = run.ofDelivery.get(id) ?? { failures: 0, since: steady }
    run.ofDelivery.set(id, own)
    run.failures++
    own.failures++
    if (isDown(run)) run.heldUntil = steady + Math.max(probeWaitMs(steady - run.since), askedWaitMs)
    return {
      failsWithAllForMs: run.isInherited || own.failures === tries ? steady - own.since : null,
      isDown: isDown(run),
    }
  }

  /** @returns true when the webhook's row must note it */
  succeeded(endpoint: string, webhook: Webhook, now: number): boolean {
    const wasFailing = this.runs.delete(endpoint) || webhook.failingSince !== null
    const notedAt = Math.max(this.notedAt.get(endpoint) ?? 0, webhook.lastSuccessAt ?? 0)
    // The second check notes it after the clock was set back, too.
    if (!wasFailing && now - notedAt < SUCCESS_NOTED_MS && notedAt <= now) return false
    this.notedAt.set(endpoint, now)
    return true
  }

  /** Its owner changed it or asks for a try: the next delivery is tried at once. */
  reset(endpoint: string): void {
    this.runs.delete(endpoint)
  }

  private newRun({ failingSince }: Pick<Webhook, 'failingSince'>): FailingRun {
    const steady = this.clock.steady()
    const isInherited = failingSince !== null
    const since = isInherited ? steady - Math.max(0, this.clock.now() - failingSince) : steady
    return { since, isInherited, failures: 0, ofDelivery: new Map(), heldUntil: 0 }
  }
}

/** One delivery that keeps failing may be at fault itself; a few failures may be chance. */
function isDown({ failures, ofDelivery }: FailingRun): boolean {
  return failures >= TRIES_IN_PLACE && ofDelivery.size > 1
}
