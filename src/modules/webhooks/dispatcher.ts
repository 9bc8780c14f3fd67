/**
 * The dispatcher: claims lanes (one webhook, one chat) that are due and delivers their events in order. Each endpoint has its own share of
 * what may be in flight, and each identity too, so slow ones delay no other.
 */
import type { Webhook } from '../../db/schema/index.ts'
import { isStorageTrouble, messageOf } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import type { SignalName } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { observed } from '../../lib/observed.ts'
import type { Signals } from '../../lib/signals.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { keepGivingBack } from '../../runtime/give-back.ts'
import { Nudge, type Worker } from '../../runtime/worker.ts'
import type { WebhookAnswer } from '../../webhooks/client.ts'
import { asksFor } from '../events/repository.ts'
import type { DeliveryTry } from './delivery-try.ts'
import { EndpointHealth } from './endpoint-health.ts'
import type { HealthNote } from './health-repository.ts'
import { LaneShares } from './lane-shares.ts'
import { NoRoom } from './payload-room.ts'
import {
  asideLane,
  type ClaimedDeliveries,
  type ClaimedDelivery,
  type DeliveryQueue,
  type DeliverySettlement,
} from './queue-repository.ts'
import { GONE, judge } from './retry-policy.ts'

export interface DispatcherOptions {
  queue: DeliveryQueue
  deliver: DeliveryTry
  signals: Pick<Signals<SignalName>, 'on'>
  concurrencyPerEndpoint: number
  /** An endpoint whose every try failed for this long is switched off. */
  disableAfterMs: number
  observer?: Pick<Observer, 'deliveryAttempted'>
  clock: Clock
  logger: Logger
}

export interface Dispatcher {
  worker: Worker
  /** There is something to deliver. */
  nudge(): void
}

/** Lanes in flight at a time over all endpoints, and deliveries taken from one at a time. */
const MAX_LANES = 2_000
const MAX_DELIVERIES_PER_LANE = 16
/** In flight to an endpoint whose last try failed: many that hang must not use up all lanes between them. */
const LANES_OF_A_FAILING_ENDPOINT = 2
/** While there is work, lanes are claimed together that come due within this time: a claim costs as much as several sends. */
const CLAIM_SPACING_MS = 2
/** How often due lanes are looked for that no nudge told of, in milliseconds. */
const POLL_MS = 5_000

/** Until a lane is tried again that something on our side stood in the way of. */
const HINDERED_PAUSE_MS = 2_000

/** What became of a try; `internal` when it went wrong before the endpoint was asked. */
interface Tried {
  /** As it was for this try. */
  webhook: Webhook
  answer: WebhookAnswer
  internal: boolean
}

/** Why there was no try: the webhook gets nothing any more, no longer asks for this event, or what is missing is on our side. */
type NotTried = 'withdrawn' | 'unwanted' | 'hindered'

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { queue, deliver, signals, concurrencyPerEndpoint, disableAfterMs, observer, clock, logger } = options
  const nudge = new Nudge()
  const running = new Set<Promise<void>>()
  const shares = new LaneShares(MAX_LANES)
  const health = new EndpointHealth()

  async function attempt(
    { endpoint, webhook: asClaimed }: ClaimedDeliveries,
    { delivery, event, wasTooLarge }: ClaimedDelivery,
  ): Promise<Tried | NotTried> {
    let webhook = asClaimed
    try {
      using prepared = await deliver.prepare(event, !wasTooLarge)
      // Since the claim it may have been deleted, switched off or changed: what is answered to its owner holds from the next request on.
      const present = await queue.deliverable(endpoint, clock.now())
      if (!present) return 'withdrawn'
      // What was asked for again by itself is delivered all the same.
      if (delivery.forgiven === 0 && !asksFor(present, event.name)) return 'unwanted'
      webhook = present
      return { webhook, answer: await prepared.send(webhook, delivery.id), internal: false }
    } catch (error) {
      if (error instanceof NoRoom) return 'hindered'
      // What goes wrong on our side of a try is retried like any failure; but that our disk is full costs no endpoint one of its tries.
      logger.warn({ delivery: delivery.id, err: error }, 'a delivery could not be prepared')
      if (isStorageTrouble(error)) return 'hindered'
      const refused = {
        outcome: 'refused' as const,
        status: null,
        error: messageOf(error),
        retryAfterS: null,
      }
      return { webhook, answer: { ...refused, latencyMs: 0, response: '' }, internal: true }
    }
  }

  function tell(
    { delivery, event }: ClaimedDelivery,
    { outcome }: DeliverySettlement,
    answer: WebhookAnswer,
    tookMs: number,
  ): void {
    observer?.deliveryAttempted({
      deliveryId: delivery.id,
      identityId: delivery.identityId,
      webhookId: delivery.webhookId,
      eventId: event.eventId,
      event: event.name,
      deviceRowId: event.deviceRowId,
      attempt: delivery.attempts + 1,
      outcome,
      status: answer.status,
      error: answer.outcome === 'refused' ? answer.error : null,
      tookMs,
      ageMs: clock.now() - event.receivedAt,
    })
  }

  /** Delivers a lane's events in order, as far as it goes. The next one goes out while the one before is being settled. */
  async function work(claimed: ClaimedDeliveries, signal: AbortSignal): Promise<void> {
    const settling: Promise<void>[] = []
    let laneDueAt = clock.now()
    let asTried = claimed
    for (const next of claimed.deliveries) {
      if (signal.aborted) break
      const { delivery } = next
      const startedAt = performance.now()
      const tried = await attempt(claimed, next)
      if (tried === 'withdrawn') break
      if (tried === 'hindered') {
        laneDueAt = clock.now() + HINDERED_PAUSE_MS
        break
      }
      if (tried === 'unwanted') {
        settling.push(observed(drop(claimed, next)))
        continue
      }
      asTried = { ...claimed, webhook: tried.webhook }
      const { settlement, dueAt } = judge(tried.answer, delivery.attempts - delivery.forgiven, clock.now())
      tell(next, settlement, tried.answer, performance.now() - startedAt)
      const settled = queue.settle(
        asTried,
        delivery,
        settlement,
        noteOf(claimed.endpoint, tried),
        clock.now(),
      )
      settling.push(observed(settled.then(reason => logDisabled(claimed, reason))))
      const waitsHere =
        settlement.outcome === 'retry' || claimed.lane === asideLane(claimed.endpoint, delivery)
      if (!waitsHere) continue
      laneDueAt = dueAt
      break
    }
    // Writes are done in the order they were asked for, so the lane is given back after its last settlement, in the same commit.
    settling.push(queue.release(asTried, laneDueAt))
    await Promise.all(settling)
  }

  /** Settles what the webhook no longer asks for, with the reason in its log. */
  async function drop(claimed: ClaimedDeliveries, { delivery, event }: ClaimedDelivery): Promise<void> {
    const error = `not sent: the webhook no longer asks for ${event.name}`
    const attempt = { at: clock.now(), status: null, error, latencyMs: 0, response: '' }
    await queue.settle(claimed, delivery, { outcome: 'dead', attempt }, null, clock.now())
  }

  /** What a try says of the endpoint, when that has to be written down. */
  function noteOf(endpoint: string, { webhook, answer, internal }: Tried): HealthNote | null {
    if (internal) return null
    if (answer.outcome === 'delivered')
      return health.succeeded(endpoint, webhook, clock.now()) ? { kind: 'succeeded' } : null
    health.failed(endpoint)
    return { kind: 'failed', error: answer.error, isGone: answer.status === GONE, disableAfterMs }
  }

  function logDisabled({ endpoint }: ClaimedDeliveries, reason: string | null): void {
    if (reason !== null) logger.warn({ webhook: endpoint, reason }, 'a webhook was switched off')
  }

  /** How many more lanes it may have in flight. */
  function freeOf(endpoint: string): number {
    const most = health.isFailing(endpoint)
      ? Math.min(LANES_OF_A_FAILING_ENDPOINT, concurrencyPerEndpoint)
      : concurrencyPerEndpoint
    return most - shares.inFlightTo(endpoint)
  }

  function start(claimed: ClaimedDeliveries, signal: AbortSignal): void {
    const holder = { endpoint: claimed.endpoint, identityId: claimed.webhook.identityId }
    shares.take(holder)
    const run = work(claimed, signal)
      .catch(error => {
        // Not the lane, which may be called after a recipient.
        logger.error(
          { webhook: claimed.endpoint, err: error },
          'a delivery lane could not be settled; it is tried again',
        )
        // What was delivered and couldn't be settled is delivered again, under the same id.
        return keepGivingBack(() => queue.release(claimed, clock.now()), clock, signal)
      })
      .finally(() => {
        running.delete(run)
        shares.giveBack(holder)
        nudge.nudge()
      })
    running.add(run)
  }

  async function run(signal: AbortSignal): Promise<void> {
    const endListening = signals.on('deliveries', () => nudge.nudge())
    try {
      await queue.releaseAbandoned(clock.now())
      while (!signal.aborted) {
        const lanes = shares.free() === 0 ? [] : await claim()
        for (const lane of lanes) start(lane, signal)
        if (lanes.length > 0) await clock.sleep(CLAIM_SPACING_MS, signal)
        if (lanes.length === 0) await nudge.wait(clock, await idleMs(), signal)
      }
    } finally {
      endListening()
      // The next run takes every lease for abandoned, so none of ours may be in use any more.
      await Promise.all(running)
    }
  }

  function claim(): Promise<ClaimedDeliveries[]> {
    return queue.claim({
      leaseId: timeOrderedId('lease_'),
      now: clock.now(),
      freeOf,
      freeOfIdentity: (...claimed) => shares.freeOf(...claimed),
      maxLanes: shares.free(),
      maxDeliveriesPerLane: MAX_DELIVERIES_PER_LANE,
    })
  }

  async function idleMs(): Promise<number> {
    const dueAt = await queue.nextDueAt()
    const wait = dueAt === null ? POLL_MS : dueAt - clock.now()
    // What is due already waits for a lane in flight to end, which wakes us.
    return wait <= 0 ? POLL_MS : Math.min(POLL_MS, wait)
  }

  return { worker: { name: 'webhook-dispatcher', run }, nudge: () => nudge.nudge() }
}
