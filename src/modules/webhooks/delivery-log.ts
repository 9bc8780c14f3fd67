/**
 * The delivery log as owners of webhooks see it, and what they can ask for: one delivery again, a
 * replay of many, a test.
 *
 * A replay is a row. A worker makes deliveries of its events, batch by batch, and the dispatcher
 * delivers those like any other.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import { EVENT_NAMES, STORED_EVENT_NAMES } from '../../domain/states.ts'
import type { AttemptView, DeliveryPage, DeliveryView, TestResult } from '../../domain/views/delivery.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { instantIn } from '../../lib/instant.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { every, Nudge } from '../../runtime/worker.ts'
import { endpointKey } from '../events/event-repository.ts'
import type { DeliveryTry } from './delivery-try.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import type { DeliveryLogRepository, LoggedDelivery, LogQuery } from './log-repository.ts'
import { type Attempt, testEvent } from './outcome-repository.ts'
import type { NewReplay, ReplayRepository } from './replay-repository.ts'
import { attemptOf } from './retry-schedule.ts'
import type { WebhookRepository } from './webhook-repository.ts'
import { existingWebhook } from './webhooks.ts'

export interface ReplayRequest {
  /** RFC 3339: only events received from then on. */
  since: string
  /** RFC 3339: only events received before then; now by default. */
  until?: string | undefined
  /** Only events that were tried without success. */
  onlyFailed?: boolean | undefined
}

export interface DeliveryLogOptions {
  log: DeliveryLogRepository
  webhooks: Pick<WebhookRepository, 'find'>
  deliver: DeliveryTry
  health: Pick<EndpointHealth, 'heldForMs'>
  observer?: Pick<Observer, 'deliveryAttempted'>
  clock: Clock
}

export interface ReplaysOptions {
  repository: ReplayRepository
  webhooks: Pick<WebhookRepository, 'find'>
  clock: Clock
}

/** Pause between two batches, so that new deliveries get their turn. */
const BATCH_SPACING_MS = 5
const POLL_MS = 60_000

export type DeliveryLog = ReturnType<typeof createDeliveryLog>

export function createDeliveryLog(options: DeliveryLogOptions) {
  const { log, webhooks, deliver, health, observer, clock } = options

  function view({ delivery, eventId, name, attempts, dueAt }: LoggedDelivery): DeliveryView {
    const heldForMs = health.heldForMs(endpointKey(delivery.identityId, delivery.webhookId)) ?? 0
    const heldUntil = clock.now() + Math.ceil(heldForMs)
    const nextAt = dueAt !== null && heldForMs > 0 ? Math.max(dueAt, heldUntil) : dueAt
    return {
      id: delivery.id,
      webhook_id: delivery.webhookId,
      event: name,
      event_id: eventId,
      status: delivery.status,
      attempt_count: delivery.attempts,
      attempts: attempts.map(attemptView),
      next_attempt_at: nextAt === null ? null : rfc3339(nextAt),
      created_at: rfc3339(delivery.createdAt),
      settled_at: delivery.settledAt === null ? null : rfc3339(delivery.settledAt),
    }
  }

  async function existing(identityId: string, deliveryId: string): Promise<LoggedDelivery> {
    const logged = await log.find(identityId, deliveryId)
    if (!logged) throw unknownDelivery(deliveryId)
    return logged
  }

  return {
    /**
     * @returns newest event first; `next` is what `before` takes to go on, null at the end
     * @throws GatewayError not_found (webhook, or the delivery `before`), bad_request (an unknown
     * event)
     */
    async list(identityId: string, webhookId: number, query: LogQuery): Promise<DeliveryPage> {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      refuseUnknownEvent(query.event)
      const page = await log.page(webhook, query)
      if (!page)
        throw new GatewayError('not_found', `before: webhook ${webhookId} has no delivery ${query.before}`)
      return { deliveries: page.deliveries.map(view), next: page.next }
    },

    /** @throws GatewayError not_found */
    get: async (identityId: string, deliveryId: string) => view(await existing(identityId, deliveryId)),

    /**
     * Delivers it now under the same id, whatever became of it. If that fails, its retries begin
     * again.
     * @throws GatewayError not_found, conflict (it is under way, or the webhook is switched off)
     */
    async retry(identityId: string, deliveryId: string): Promise<DeliveryView> {
      const { webhookId } = (await existing(identityId, deliveryId)).delivery
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      if (!webhook.active) throw switchedOff(webhookId)
      const outcome = await log.retry(identityId, deliveryId, clock.now())
      if (outcome === null) throw unknownDelivery(deliveryId)
      if (outcome === 'under way')
        throw new GatewayError('conflict', `delivery ${deliveryId} is under way: ask again if that fails`)
      return view(await existing(identityId, deliveryId))
    },

    /**
     * Sends a `webhook.test` event, even to a webhook that is switched off, and waits for the
     * answer.
     * @throws GatewayError not_found
     */
    async test(identityId: string, webhookId: number): Promise<TestResult> {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      const createdAt = clock.now()
      const event = testEvent(webhook, createdAt)
      const id = timeOrderedId('evt_')
      const startedAt = performance.now()
      using prepared = await deliver.prepare({ ...event, payload: JSON.stringify(event.payload) })
      const attempt = attemptOf(await prepared.send(webhook, id), clock.now())
      const { status, error } = attempt
      observer?.deliveryAttempted({
        deliveryId: id,
        identityId,
        webhookId,
        eventId: event.eventId,
        event: event.payload.event,
        deviceRowId: event.deviceRowId,
        attempt: 1,
        outcome: error === null ? 'succeeded' : 'dead',
        status,
        error,
        tookMs: performance.now() - startedAt,
        ageMs: clock.now() - createdAt,
      })
      await log.recordTest(webhook, id, event, attempt)
      return { id, event: 'webhook.test', delivered: attempt.error === null, attempt: attemptView(attempt) }
    },
  }
}

export type Replays = Pick<ReturnType<typeof createReplays>, 'start'>

export function createReplays(options: ReplaysOptions) {
  const { repository, webhooks, clock } = options
  const nudge = new Nudge()

  /** Counts in steps, and lets others in between. */
  async function count(replay: NewReplay): Promise<number> {
    const webhook = await existingWebhook(webhooks, replay.identityId, replay.webhookId)
    let total = 0
    for (let seq: number | null = 0; seq !== null; ) {
      const { matches, lastSeq } = await repository.count(replay, webhook, seq)
      total += matches
      seq = lastSeq
      await yieldToEventLoop()
    }
    return total
  }

  /**
   * Takes each replay one batch further, so that a long one holds up no other.
   * @returns when to go on, in milliseconds
   */
  async function tick(): Promise<number> {
    const underWay = await repository.underWay()
    for (const { replay, webhook } of underWay) await repository.advance(replay, webhook, clock.now())
    return underWay.length > 0 ? BATCH_SPACING_MS : POLL_MS
  }

  return {
    /**
     * Delivers past events that the webhook asks for once more, or for the first time, in the order
     * they happened in each chat. It goes on after the answer, and after a restart.
     * @returns the number of events
     * @throws GatewayError not_found, bad_request, conflict (switched off, or a replay of it is
     * under way)
     */
    async start(
      identityId: string,
      webhookId: number,
      { since, until, onlyFailed = false }: ReplayRequest,
    ): Promise<{ events: number }> {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      if (!webhook.active) throw switchedOff(webhookId)
      const now = clock.now()
      const replay: NewReplay = {
        identityId,
        webhookId,
        since: instant('since', since),
        // The past includes this very millisecond.
        until: until === undefined ? now + 1 : instant('until', until),
        onlyFailed,
        lastSeq: await repository.newestSeq(identityId),
      }
      if (replay.since > now) throw new GatewayError('bad_request', 'since: expected a time in the past')
      if (replay.until <= replay.since)
        throw new GatewayError('bad_request', 'until: expected a time after since')
      const events = await count(replay)
      if (events > 0 && !(await repository.start(replay, now)))
        throw new GatewayError(
          'conflict',
          `a replay of webhook ${webhookId} is under way: wait until it is done`,
        )
      nudge.nudge()
      return { events }
    },

    worker: every('webhook-replay', POLL_MS, tick, { clock, nudge }),
  }
}

function switchedOff(webhookId: number): GatewayError {
  const what = `webhook ${webhookId} is switched off: switch it on with PUT {"active": true} first`
  return new GatewayError('conflict', what)
}

function unknownDelivery(id: string): GatewayError {
  return new GatewayError('not_found', `there is no delivery ${id}`)
}

function refuseUnknownEvent(name: string | undefined): void {
  if (name === undefined || STORED_EVENT_NAMES.some(known => known === name)) return
  throw new GatewayError(
    'bad_request',
    `event: "${name}" is unknown: expected one of ${EVENT_NAMES.join(', ')}`,
  )
}

function attemptView({ at, status, error, latencyMs, response }: Attempt): AttemptView {
  return { at: rfc3339(at), status, error, latency_ms: latencyMs, response }
}

/** @throws GatewayError bad_request */
function instant(field: string, text: string): number {
  const at = instantIn(text)
  if (at !== null) return at
  throw new GatewayError('bad_request', `${field}: expected a time in RFC 3339, such as 2026-04-27T10:00:00Z`)
}
