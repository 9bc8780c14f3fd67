/**
 * This process's view of endpoints: which fail just now, which of those take nothing at all, and
 * when their success was last written down. A shortcut over the webhooks' rows, so that a try that
 * succeeds hardly ever costs a write of its own.
 */
import type { Webhook } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import { probeWaitMs, TRIES_IN_PLACE } from './retry-policy.ts'

/** How exact `last_success_at` is. */
const SUCCESS_NOTED_MS = 60_000
/** Endpoints remembered at a time. */
const MAX_REMEMBERED = 10_000
/** Lanes in flight to an endpoint whose last try failed: many that hang must not use up all lanes between them. */
const LANES_WHILE_FAILING = 2

/** Failures in a row, of any of an endpoint's deliveries. Times are those of `clock.steady()`. */
interface FailingRun {
  since: number
  /** It goes back to before this process: which deliveries failed in it isn't known. */
  isInherited: boolean
  failures: number
  ofDelivery: Map<string, { failures: number; since: number }>
  /** Its lanes are held until then. */
  heldUntil: number
}

/** The failure that a failed try was part of. */
export interface Failure {
  /** How long the delivery has failed without anything else getting through, in milliseconds; null: something did. */
  failsWithAllForMs: number | null
  /** The endpoint takes nothing, so its lanes are held; false where it may be this delivery alone. */
  isDown: boolean
}

export class EndpointHealth {
  private readonly runs = new Map<string, FailingRun>()
  private readonly notedAt = new Map<string, number>()

  constructor(private readonly clock: Clock) {}

  /** How many lanes may be in flight to it, of the `most` that there may be when all is well. */
  lanesFor(endpoint: string, most: number): number {
    const run = this.runs.get(endpoint)
    if (!run) return most
    if (!isDown(run)) return Math.min(LANES_WHILE_FAILING, most)
    return this.heldForMs(endpoint) === null ? 1 : 0
  }

  /** @returns for how long its lanes are still held, in milliseconds; null when they aren't */
  heldForMs(endpoint: string): number | null {
    const leftMs = (this.runs.get(endpoint)?.heldUntil ?? 0) - this.clock.steady()
    return leftMs > 0 ? leftMs : null
  }

  /**
   * @param webhook as it was before the try
   * @param tries of the delivery that count, with this one
   * @param askedWaitMs how long the endpoint asks to be left alone
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

  /** @returns whether the webhook's row has to be told */
  succeeded(endpoint: string, webhook: Webhook, now: number): boolean {
    const wasFailing = this.runs.delete(endpoint) || webhook.failingSince !== null
    const notedAt = Math.max(this.notedAt.get(endpoint) ?? 0, webhook.lastSuccessAt ?? 0)
    // A clock that was set back must not silence it until it has caught up.
    if (!wasFailing && now - notedAt < SUCCESS_NOTED_MS && notedAt <= now) return false
    if (this.notedAt.size >= MAX_REMEMBERED) this.notedAt.clear()
    this.notedAt.set(endpoint, now)
    return true
  }

  /** Its owner has changed it, or asks for a try now: what waits for it is tried at once. */
  forget(endpoint: string): void {
    this.runs.delete(endpoint)
  }

  private newRun({ failingSince }: Pick<Webhook, 'failingSince'>): FailingRun {
    const steady = this.clock.steady()
    const isInherited = failingSince !== null
    const since = isInherited ? steady - Math.max(0, this.clock.now() - failingSince) : steady
    return { since, isInherited, failures: 0, ofDelivery: new Map(), heldUntil: 0 }
  }
}

/** One delivery that goes on failing may be at fault itself; a few failures in a row may be chance. */
function isDown({ failures, ofDelivery }: FailingRun): boolean {
  return failures >= TRIES_IN_PLACE && ofDelivery.size > 1
}
