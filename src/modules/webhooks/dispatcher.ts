/**
 * The dispatcher: delivers the events of lanes that are due. Each endpoint has its own share of what may be in flight,
 * and each identity too, so slow ones delay no other.
 */
import type { Webhook } from '../../db/schema/index.ts'
import { isStorageTrouble, messageOf } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { createLaneWorker, type ItemEnd, type LaneWorker } from '../../runtime/lane-worker.ts'
import type { WebhookAnswer } from '../../webhooks/client.ts'
import { asksFor } from '../events/event-repository.ts'
import type { DeliveryTry } from './delivery-try.ts'
import type { EndpointHealth, Failure } from './endpoint-health.ts'
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
import { askedWaitMs, GONE, judge, TRIES_IN_PLACE } from './retry-policy.ts'

export interface DispatcherOptions {
  queue: DeliveryQueue
  deliver: DeliveryTry
  health: EndpointHealth
  signals: Hears<'deliveries' | 'credential-changed' | 'clock-moved'>
  concurrencyPerEndpoint: number
  /** An endpoint whose every try failed for this long is switched off. */
  disableAfterMs: number
  observer?: Pick<Observer, 'deliveryAttempted'>
  clock: Clock
  logger: Logger
}

/** Lanes in flight at a time over all endpoints, and deliveries taken from one at a time. */
const MAX_LANES = 2_000
const MAX_DELIVERIES_PER_LANE = 16
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

export function createDispatcher(options: DispatcherOptions): LaneWorker {
  const { queue, deliver, health, signals, concurrencyPerEndpoint, disableAfterMs, observer, clock, logger } =
    options
  const shares = new LaneShares(MAX_LANES)

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

  /** Delivers a lane's events. */
  function begin(claimed: ClaimedDeliveries) {
    shares.take(claimed)
    return async (next: ClaimedDelivery): Promise<ItemEnd> => {
      const startedAt = performance.now()
      const tried = await attempt(claimed, next)
      if (tried === 'withdrawn') return { heldUntil: clock.now() }
      if (tried === 'hindered') return { heldUntil: clock.now() + HINDERED_PAUSE_MS }
      if (tried === 'unwanted') return { settling: drop(claimed, next) }
      claimed.webhook = tried.webhook
      const { settlement, note, heldUntil } = conclude(claimed, next, tried)
      tell(next, settlement, tried.answer, performance.now() - startedAt)
      const settled = queue.settle(claimed, next.delivery, settlement, note, settlement.attempt.at)
      const settling = settled.then(reason => logDisabled(claimed, reason))
      return heldUntil === null ? { settling } : { settling, heldUntil }
    }
  }

  /** @returns `heldUntil` null where the lane goes on */
  function conclude(claimed: ClaimedDeliveries, next: ClaimedDelivery, tried: Tried) {
    const { endpoint, lane, deliveries } = claimed
    const { delivery } = next
    const at = clock.now()
    const triesBefore = delivery.attempts - delivery.forgiven
    const { note, failure } = healthAfter(endpoint, { id: delivery.id, tries: triesBefore + 1 }, tried, at)
    const isAside = lane === asideLane(endpoint, delivery)
    const failsWithAllForMs = failure?.failsWithAllForMs ?? null
    const { settlement, dueAt } = judge(tried.answer, { triesBefore, isAside, failsWithAllForMs }, at)
    const held = { settlement, note, heldUntil: dueAt }
    if (isAside) return held
    if (settlement.outcome !== 'retry') return { ...held, heldUntil: null }
    // The endpoint is held, not the lane, which is due as soon as that ends.
    if (failure?.isDown) return { ...held, heldUntil: at }
    // Is it the delivery or its endpoint that fails? The one behind it tells.
    const isInDoubt = failsWithAllForMs !== null && triesBefore + 1 >= TRIES_IN_PLACE
    const asksToWait = askedWaitMs(tried.answer) > 0
    return isInDoubt && !asksToWait && next !== deliveries.at(-1) ? { ...held, heldUntil: null } : held
  }

  /** Settles what the webhook no longer asks for, with the reason in its log. */
  async function drop(claimed: ClaimedDeliveries, { delivery, event }: ClaimedDelivery): Promise<void> {
    const error = `not sent: the webhook no longer asks for ${event.name}`
    const attempt = { at: clock.now(), status: null, error, latencyMs: 0, response: '' }
    await queue.settle(claimed, delivery, { outcome: 'dead', attempt }, null, clock.now())
  }

  /** @returns what has to be written down of the endpoint, and of a failure what it is part of */
  function healthAfter(
    endpoint: string,
    delivery: { id: string; tries: number },
    { webhook, answer, internal }: Tried,
    at: number,
  ): { note: HealthNote | null; failure: Failure | null } {
    if (internal) return { note: null, failure: null }
    if (answer.outcome === 'delivered')
      return { note: health.succeeded(endpoint, webhook, at) ? { kind: 'succeeded' } : null, failure: null }
    const failure = health.failed(endpoint, webhook, delivery, askedWaitMs(answer))
    return {
      note: { kind: 'failed', error: answer.error, isGone: answer.status === GONE, disableAfterMs },
      failure,
    }
  }

  function logDisabled({ endpoint }: ClaimedDeliveries, reason: string | null): void {
    if (reason !== null) logger.warn({ webhook: endpoint, reason }, 'a webhook was switched off')
  }

  /** How many more lanes it may have in flight. */
  function freeOf(endpoint: string): number {
    return health.lanesFor(endpoint, concurrencyPerEndpoint) - shares.inFlightTo(endpoint)
  }

  function heldUntil(endpoint: string): number | null {
    const forMs = health.heldForMs(endpoint)
    return forMs === null ? null : clock.now() + forMs
  }

  return createLaneWorker<ClaimedDeliveries, ClaimedDelivery>({
    name: 'webhook-dispatcher',
    queue: { ...queue, nextDueAt: claimedAt => queue.nextDueAt(claimedAt, heldUntil) },
    maxLanes: MAX_LANES,
    claim: due =>
      queue.claim({
        ...due,
        freeOf,
        freeOfIdentity: (...claimed) => shares.freeOf(...claimed),
        maxDeliveriesPerLane: MAX_DELIVERIES_PER_LANE,
      }),
    itemsOf: claimed => claimed.deliveries,
    begin,
    ended: claimed => shares.giveBack(claimed),
    listen: wake => signals.onAny(['deliveries', 'credential-changed', 'clock-moved'], wake),
    // Not the lane, which may be called after a recipient.
    describe: ({ endpoint }) => ({ webhook: endpoint }),
    clock,
    logger,
  })
}
