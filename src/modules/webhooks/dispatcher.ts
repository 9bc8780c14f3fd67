/**
 * The dispatcher: claims lanes (one webhook, one chat) that are due and delivers their events in order. Each endpoint has its own share of
 * what may be in flight, so a slow one delays no other.
 */
import type { Delivery, Webhook } from '../../db/schema/index.ts'
import { isStorageTrouble, messageOf } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import { backoffMs, jittered } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { observed } from '../../lib/observed.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { Nudge, type Worker } from '../../runtime/worker.ts'
import type { WebhookAnswer, WebhookClient } from '../../webhooks/client.ts'
import type { Payloads } from './payload.ts'
import type { ClaimedDeliveries, DeliverySettlement, WebhookRepository } from './repository.ts'
import { signingSecretContext } from './webhooks.ts'

export interface DispatcherOptions {
  repository: WebhookRepository
  payloads: Payloads
  client: WebhookClient
  sealer: Sealer
  concurrencyPerEndpoint: number
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
/** A lease outlives the tries that it covers. */
const LEASE_MS = 600_000
/** While there is work, lanes are claimed together that come due within this time: a claim costs as much as several sends. */
const CLAIM_SPACING_MS = 2
/** How often due lanes are looked for that no nudge told of, in milliseconds. */
const POLL_MS = 5_000

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Waits between the tries of a delivery: three days in all. Then it is dead, and can be replayed. */
const RETRY_WAITS_MS = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
const JITTER = 0.2
/** Between tries to give back a lane that couldn't be settled, and while nothing can be stored on our side. */
const GIVE_BACK_RETRY = { baseMs: 100, capMs: 2_000 }
const STORAGE_PAUSE_MS = 2 * SECOND
/** An endpoint may ask for a longer wait, but not for more than this. */
const MAX_RETRY_AFTER_MS = 12 * HOUR
/** After this many tries a failing delivery leaves its lane, so that it doesn't hold up the chat for days. */
const TRIES_IN_PLACE = 2
const GONE = 410
/** Signing secrets kept in memory at a time. */
const MAX_SECRETS = 1_000

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { repository, payloads, client, sealer, concurrencyPerEndpoint, observer, clock, logger } = options
  const nudge = new Nudge()
  const running = new Set<Promise<void>>()
  /** Signing secrets by what they are sealed as. */
  const secrets = new Map<string, string>()
  const inFlight = new Map<string, number>()

  async function attempt(claimed: ClaimedDeliveries, index: number): Promise<WebhookAnswer> {
    const { webhook, deliveries } = claimed
    const { delivery, event } = deliveries[index] as ClaimedDeliveries['deliveries'][number]
    const body = JSON.stringify(await payloads.of(event))
    const secret = secretOf(webhook)
    return await client.deliver({
      url: webhook.url,
      id: delivery.id,
      secrets: [secret],
      headers: {},
      body,
    })
  }

  function tell(
    { delivery, event }: ClaimedDeliveries['deliveries'][number],
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

  /** Unsealing costs as much as signing, and a webhook's secret hardly ever changes. */
  function secretOf({ secretSealed, identityId }: Webhook): string {
    const known = secrets.get(secretSealed)
    if (known !== undefined) return known
    const secret = sealer.open(secretSealed, signingSecretContext(identityId))
    if (secrets.size >= MAX_SECRETS) secrets.clear()
    secrets.set(secretSealed, secret)
    return secret
  }

  /** Delivers a lane's events in order, as far as it goes. The next one goes out while the one before is being settled. */
  async function work(claimed: ClaimedDeliveries, signal: AbortSignal): Promise<void> {
    const settling: Promise<void>[] = []
    let dueAt = clock.now()
    for (const [index, one] of claimed.deliveries.entries()) {
      if (signal.aborted) break
      const { delivery } = one
      const startedAt = performance.now()
      const answer = await attempt(claimed, index).catch(error => internalFailure(error, delivery))
      if (answer === 'not tried') {
        dueAt = clock.now() + STORAGE_PAUSE_MS
        break
      }
      const settlement = settlementOf(answer, delivery)
      tell(one, settlement, answer, performance.now() - startedAt)
      settling.push(observed(repository.settle(claimed, delivery, settlement, clock.now())))
      if (answer.status === GONE) await disable(claimed)
      if (settlement.outcome === 'retry') dueAt = clock.now() + waitMs(answer, delivery)
      if (settlement.outcome === 'retry' || answer.status === GONE) break
    }
    // Writes are done in the order they were asked for, so the lane is given back after its last settlement, in the same commit.
    settling.push(repository.release(claimed, dueAt))
    await Promise.all(settling)
  }

  function settlementOf(answer: WebhookAnswer, delivery: Delivery): DeliverySettlement {
    if (answer.outcome === 'delivered') return { outcome: 'succeeded', status: answer.status }
    const { status, error } = answer
    const tries = delivery.attempts + 1
    if (tries > RETRY_WAITS_MS.length) return { outcome: 'dead', status, error }
    if (tries < TRIES_IN_PLACE || status === GONE) return { outcome: 'retry', status, error }
    return { outcome: 'set_aside', status, error, dueAt: clock.now() + waitMs(answer, delivery) }
  }

  function waitMs(answer: WebhookAnswer, { attempts }: Delivery): number {
    const planned = jittered(RETRY_WAITS_MS[attempts] ?? 0, JITTER)
    const asked = answer.outcome === 'refused' ? (answer.retryAfterS ?? 0) * SECOND : 0
    return Math.max(planned, Math.min(asked, MAX_RETRY_AFTER_MS))
  }

  /** 410 Gone: the endpoint wants nothing more (Standard Webhooks, "Delivery"). What waits is kept in case it is switched on again. */
  async function disable({ webhook }: ClaimedDeliveries): Promise<void> {
    const change = { active: false, disabledReason: 'the endpoint answered 410 Gone' }
    await repository.update(webhook.identityId, webhook.id, change, clock.now())
    logger.warn(
      { webhook: `${webhook.identityId}/${webhook.id}` },
      'a webhook was switched off: it answered 410 Gone',
    )
  }

  /** What goes wrong on our side of a try is retried like any failure; but that our disk is full costs no endpoint one of its tries. */
  function internalFailure(thrown: unknown, delivery: Delivery): WebhookAnswer | 'not tried' {
    logger.warn({ delivery: delivery.id, err: thrown }, 'a delivery could not be prepared')
    if (isStorageTrouble(thrown)) return 'not tried'
    const error = messageOf(thrown)
    return { outcome: 'refused', status: null, error, retryAfterS: null, latencyMs: 0, response: '' }
  }

  /**
   * After a write that failed (a full disk): what was delivered and couldn't be settled is delivered again, under the same id. Without this
   * that would be only when the lease runs out.
   */
  async function giveBack(claimed: ClaimedDeliveries, signal: AbortSignal): Promise<void> {
    for (let failures = 1; !signal.aborted; failures++) {
      await clock.sleep(backoffMs(failures, GIVE_BACK_RETRY), signal)
      const isBack = await repository.release(claimed, clock.now()).then(
        () => true,
        () => false,
      )
      if (isBack) return
    }
  }

  function start(claimed: ClaimedDeliveries, signal: AbortSignal): void {
    const { endpoint } = claimed
    inFlight.set(endpoint, (inFlight.get(endpoint) ?? 0) + 1)
    const run = work(claimed, signal)
      .catch(error => {
        const { lane } = claimed
        logger.error({ lane, err: error }, 'a delivery lane could not be settled; it is tried again')
        return giveBack(claimed, signal)
      })
      .finally(() => {
        running.delete(run)
        const left = (inFlight.get(endpoint) ?? 1) - 1
        if (left === 0) inFlight.delete(endpoint)
        else inFlight.set(endpoint, left)
        nudge.nudge()
      })
    running.add(run)
  }

  async function run(signal: AbortSignal): Promise<void> {
    try {
      await repository.releaseAbandoned(clock.now())
      while (!signal.aborted) {
        const free = MAX_LANES - running.size
        const lanes = free === 0 ? [] : await claim(free)
        for (const lane of lanes) start(lane, signal)
        if (lanes.length > 0) await clock.sleep(CLAIM_SPACING_MS, signal)
        if (lanes.length === 0) await nudge.wait(clock, await idleMs(), signal)
      }
    } finally {
      // The next run takes every lease for abandoned, so none of ours may be in use any more.
      await Promise.all(running)
    }
  }

  function claim(maxLanes: number): Promise<ClaimedDeliveries[]> {
    return repository.claim({
      leaseId: timeOrderedId('lease_'),
      now: clock.now(),
      leaseMs: LEASE_MS,
      freeOf: endpoint => concurrencyPerEndpoint - (inFlight.get(endpoint) ?? 0),
      maxLanes,
      maxDeliveriesPerLane: MAX_DELIVERIES_PER_LANE,
    })
  }

  async function idleMs(): Promise<number> {
    const dueAt = await repository.nextDueAt()
    const wait = dueAt === null ? POLL_MS : dueAt - clock.now()
    // What is due already waits for a lane in flight to end, which wakes us.
    return wait <= 0 ? POLL_MS : Math.min(POLL_MS, wait)
  }

  return { worker: { name: 'webhook-dispatcher', run }, nudge: () => nudge.nudge() }
}
