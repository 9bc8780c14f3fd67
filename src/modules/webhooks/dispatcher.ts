/**
 * The dispatcher: delivers the events of lanes that are due. Each endpoint and each identity has a
 * share of the lanes in flight, so slow ones delay no other.
 */
import type { Webhook } from '../../db/schema/index.ts'
import { isStorageTrouble, messageOf } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import type { Hears } from '../../domain/signals.ts'
import type { MediaMode } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { BudgetExceeded } from '../../lib/memory-budget.ts'
import { Tally } from '../../lib/tally.ts'
import type { WebhookAnswer } from '../../outbound/webhook-client.ts'
import { createLaneWorker, type ItemEnd } from '../../runtime/lane-worker.ts'
import type { Worker } from '../../runtime/worker.ts'
import { asksFor } from '../events/event-repository.ts'
import type { DeliveryTry } from './delivery-try.ts'
import type { EndpointHealth, Failure } from './endpoint-health.ts'
import type { DeliverySettlement, HealthNote } from './outcome-repository.ts'
import {
  asideLane,
  type ClaimedDeliveries,
  type ClaimedDelivery,
  type DeliveryQueue,
} from './queue-repository.ts'
import { askedWaitMs, GONE, isAskedForAgain, judge, TRIES_IN_PLACE } from './retry-schedule.ts'

export interface DispatcherOptions {
  queue: DeliveryQueue
  deliver: DeliveryTry
  health: EndpointHealth
  signals: Hears<'deliveries' | 'credential-changed' | 'clock-moved'>
  concurrencyPerEndpoint: number
  /** An endpoint is switched off when every try has failed for this long. */
  disableAfterMs: number
  observer?: Pick<Observer, 'deliveryAttempted'>
  clock: Clock
  logger: Logger
}

/** Lanes in flight at a time over all endpoints, and deliveries taken from one at a time. */
const MAX_LANES = 2_000
const MAX_DELIVERIES_PER_LANE = 16
/** Until a lane is tried again after a failure of our own. */
const INTERNAL_FAILURE_PAUSE_MS = 2_000

interface Tried {
  /** State for this try. */
  webhook: Webhook
  answer: WebhookAnswer
  /** True when it failed on our side, before the endpoint was asked. */
  failedInternally: boolean
}

export function createDispatcher(options: DispatcherOptions): Worker {
  const { queue, deliver, health, signals, concurrencyPerEndpoint, disableAfterMs, observer, clock, logger } =
    options
  const shares = new LaneShares(MAX_LANES)

  /** @returns the end of the item where nothing was tried */
  async function attempt(claimed: ClaimedDeliveries, delivery: ClaimedDelivery): Promise<Tried | ItemEnd> {
    const outOfResources = () => ({ heldUntil: clock.now() + INTERNAL_FAILURE_PAUSE_MS })
    let { webhook } = claimed
    try {
      using prepared = await deliver.prepare(delivery, mediaFor(webhook, delivery))
      // A change that its owner made since the claim counts from the next request on.
      const present = await queue.deliverable(claimed.endpoint, clock.now())
      // One that gets files in another way by now is claimed anew, for another body.
      if (!present || present.media !== webhook.media) return { heldUntil: clock.now() }
      if (!isAskedForAgain(delivery) && !asksFor(present, delivery.name))
        return { settling: drop(claimed, delivery) }
      webhook = present
      return { webhook, answer: await prepared.send(webhook, delivery.id), failedInternally: false }
    } catch (error) {
      if (error instanceof BudgetExceeded) return outOfResources()
      logger.warn({ delivery: delivery.id, err: error }, 'a delivery could not be prepared')
      if (isStorageTrouble(error)) return outOfResources()
      const nothing = { status: null, retryAfterS: null, latencyMs: 0, response: '' }
      const answer: WebhookAnswer = { outcome: 'refused', error: messageOf(error), ...nothing }
      return { webhook, answer, failedInternally: true }
    }
  }

  function observe(
    { webhook }: ClaimedDeliveries,
    delivery: ClaimedDelivery,
    { outcome, attempt: { status, error } }: DeliverySettlement,
    tookMs: number,
  ): void {
    observer?.deliveryAttempted({
      deliveryId: delivery.id,
      identityId: delivery.identityId,
      webhookId: webhook.id,
      eventId: delivery.eventId,
      event: delivery.name,
      deviceRowId: delivery.deviceRowId,
      attempt: delivery.attempts + 1,
      outcome,
      status,
      error,
      tookMs,
      ageMs: clock.now() - delivery.receivedAt,
    })
  }

  /** Delivers a lane's events. */
  function begin(claimed: ClaimedDeliveries) {
    shares.count(claimed, 1)
    return async (next: ClaimedDelivery): Promise<ItemEnd> => {
      const startedAt = performance.now()
      const tried = await attempt(claimed, next)
      if (!('answer' in tried)) return tried
      claimed.webhook = tried.webhook
      const { settlement, note, heldUntil } = conclude(claimed, next, tried)
      observe(claimed, next, settlement, performance.now() - startedAt)
      const settling = settle(claimed, next, settlement, note)
      return heldUntil === null ? { settling } : { settling, heldUntil }
    }
  }

  /** @returns `heldUntil` null where the lane goes on */
  function conclude(claimed: ClaimedDeliveries, delivery: ClaimedDelivery, tried: Tried) {
    const { endpoint, lane, deliveries } = claimed
    const at = clock.now()
    const triesBefore = delivery.attempts - delivery.uncountedAttempts
    const { note, failure } = healthAfter(endpoint, { id: delivery.id, tries: triesBefore + 1 }, tried, at)
    const isAside = lane === asideLane(endpoint, delivery)
    const failsWithAllForMs = failure?.failsWithAllForMs ?? null
    const settlement = judge(tried.answer, { triesBefore, isAside, failsWithAllForMs }, at)
    const held = { settlement, note, heldUntil: settlement.dueAt }
    if (isAside) return held
    if (settlement.outcome !== 'retry') return { ...held, heldUntil: null }
    // The endpoint is held, not the lane, which is due as soon as that ends.
    if (failure?.isDown) return { ...held, heldUntil: at }
    // The next delivery shows whether this one is at fault, or its endpoint.
    const isInDoubt = failsWithAllForMs !== null && triesBefore + 1 >= TRIES_IN_PLACE
    const asksToWait = askedWaitMs(tried.answer) > 0
    return isInDoubt && !asksToWait && delivery !== deliveries.at(-1) ? { ...held, heldUntil: null } : held
  }

  /** Settles a delivery that the webhook no longer asks for. */
  async function drop(claimed: ClaimedDeliveries, delivery: ClaimedDelivery): Promise<void> {
    const error = `not sent: the webhook no longer asks for ${delivery.name}`
    const dueAt = clock.now()
    const attempt = { at: dueAt, status: null, error, latencyMs: 0, response: '' }
    await settle(claimed, delivery, { outcome: 'dead', attempt, dueAt, uncounted: 0 }, null)
  }

  async function settle(
    claimed: ClaimedDeliveries,
    delivery: ClaimedDelivery,
    settlement: DeliverySettlement,
    note: HealthNote | null,
  ): Promise<void> {
    const reason = await queue.settle(claimed, delivery, settlement, note)
    if (reason !== null) logger.warn({ webhook: claimed.endpoint, reason }, 'a webhook was switched off')
  }

  /** @returns the note to write about the endpoint, and the failure that the try was part of */
  function healthAfter(
    endpoint: string,
    delivery: { id: string; tries: number },
    { webhook, answer, failedInternally }: Tried,
    at: number,
  ): { note: HealthNote | null; failure: Failure | null } {
    if (failedInternally) return { note: null, failure: null }
    if (answer.outcome === 'delivered')
      return { note: health.succeeded(endpoint, webhook, at) ? { kind: 'succeeded' } : null, failure: null }
    const failure = health.failed(endpoint, webhook, delivery, askedWaitMs(answer))
    return {
      note: { kind: 'failed', error: answer.error, isGone: answer.status === GONE, disableAfterMs },
      failure,
    }
  }

  /** How many more lanes the endpoint may have in flight. */
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
    ended: claimed => shares.count(claimed, -1),
    listen: wake => signals.onAny(['deliveries', 'credential-changed', 'clock-moved'], wake),
    // Not the lane: its name may contain a recipient.
    describe: ({ endpoint }) => ({ webhook: endpoint }),
    clock,
    logger,
  })
}

/**
 * Shares out the lanes in flight. An identity may have as many as are still free, so there are
 * always some for one more identity: alone it gets half of all lanes, and n that take what they
 * can get leave one part in n + 1.
 */
class LaneShares {
  private readonly ofEndpoint = new Tally()
  private readonly ofIdentity = new Tally()

  /** @param most lanes in flight at a time */
  constructor(private readonly most: number) {}

  inFlightTo(endpoint: string): number {
    return this.ofEndpoint.of(endpoint)
  }

  /**
   * How many more lanes an identity may take.
   * @param claimed lanes about to be taken, `claimedForIt` of them by the identity
   */
  freeOf(identityId: string, claimed: number, claimedForIt: number): number {
    const free = this.most - this.ofIdentity.total
    const lead = free - claimed - this.ofIdentity.of(identityId) - claimedForIt
    // Each lane taken is one more in flight and one less that is free.
    return Math.max(0, Math.ceil(lead / 2))
  }

  count({ endpoint, webhook }: ClaimedDeliveries, change: 1 | -1): void {
    this.ofEndpoint.add(endpoint, change)
    this.ofIdentity.add(webhook.identityId, change)
  }
}

/** A file that made a body too large is left at its address. */
function mediaFor({ media }: Webhook, { wasTooLarge }: ClaimedDelivery): MediaMode {
  if (media === null || media === 'inline') return wasTooLarge ? 'url' : 'inline'
  return media
}
