/** The delivery log as its readers see it, retrying one delivery, and trying a webhook out. */
import { GatewayError } from '../../domain/errors.ts'
import type { Observer } from '../../domain/observation.ts'
import { EVENT_NAMES, STORED_EVENT_NAMES, type StoredEventName } from '../../domain/states.ts'
import type { AttemptView, DeliveryView } from '../../domain/views/delivery.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import type { WebhookAnswer } from '../../webhooks/client.ts'
import { endpointKey } from '../events/event-repository.ts'
import type { Attempt } from './attempt-repository.ts'
import type { DeliveryTry } from './delivery-try.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import type { LoggedDelivery } from './log-page-repository.ts'
import type { DeliveryLogRepository } from './log-repository.ts'
import type { WebhookRepository } from './repository.ts'
import type { DeliveryLog } from './types.ts'
import { testEvent } from './webhook-event.ts'
import { existingWebhook } from './webhooks.ts'

export interface DeliveryLogOptions {
  log: DeliveryLogRepository
  webhooks: Pick<WebhookRepository, 'find'>
  deliver: DeliveryTry
  health: Pick<EndpointHealth, 'heldForMs'>
  observer?: Pick<Observer, 'deliveryAttempted'>
  clock: Clock
}

export function createDeliveryLog(options: DeliveryLogOptions): DeliveryLog {
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

  return {
    async list(identityId, webhookId, { limit, before, status, event }) {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      refuseUnknownEvent(event)
      const page = await log.page(webhook, { status, name: event }, limit, before)
      if (!page) throw new GatewayError('not_found', `before: webhook ${webhookId} has no delivery ${before}`)
      return { deliveries: page.deliveries.map(view), next: page.next }
    },

    async get(identityId, deliveryId) {
      const delivery = await log.find(identityId, deliveryId)
      if (!delivery) throw unknownDelivery(deliveryId)
      return view(delivery)
    },

    async retry(identityId, deliveryId) {
      const logged = await log.find(identityId, deliveryId)
      if (!logged) throw unknownDelivery(deliveryId)
      const { webhookId } = logged.delivery
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      if (!webhook.active) throw switchedOff(webhookId)
      const outcome = await log.retry(identityId, deliveryId, clock.now())
      if (outcome === null) throw unknownDelivery(deliveryId)
      if (outcome === 'under way')
        throw new GatewayError('conflict', `delivery ${deliveryId} is under way: ask again if that fails`)
      return this.get(identityId, deliveryId)
    },

    async test(identityId, webhookId) {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      const event = testEvent(webhook, clock.now())
      const id = timeOrderedId('evt_')
      const stored = { ...event, seq: 0, name: event.payload.event, receivedAt: clock.now() }
      const startedAt = performance.now()
      using prepared = await deliver.prepare(stored)
      const attempt = attemptOf(await prepared.send(webhook, id), clock.now())
      const { status, error } = attempt
      observer?.deliveryAttempted({
        deliveryId: id,
        identityId,
        webhookId,
        eventId: event.eventId,
        event: stored.name,
        deviceRowId: event.deviceRowId,
        attempt: 1,
        outcome: error === null ? 'succeeded' : 'dead',
        status,
        error,
        tookMs: performance.now() - startedAt,
        ageMs: clock.now() - stored.receivedAt,
      })
      await log.recordTest(webhook, id, event, attempt)
      return { id, event: 'webhook.test', delivered: attempt.error === null, attempt: attemptView(attempt) }
    },
  }
}

/** That a webhook is switched off stands in the way of what was asked. */
export function switchedOff(webhookId: number): GatewayError {
  const what = `webhook ${webhookId} is switched off: switch it on with PUT {"active": true} first`
  return new GatewayError('conflict', what)
}

function unknownDelivery(id: string): GatewayError {
  return new GatewayError('not_found', `there is no delivery ${id}`)
}

function refuseUnknownEvent(name: string | undefined): asserts name is StoredEventName | undefined {
  if (name === undefined || STORED_EVENT_NAMES.some(known => known === name)) return
  throw new GatewayError(
    'bad_request',
    `event: "${name}" is unknown: expected one of ${EVENT_NAMES.join(', ')}`,
  )
}

function attemptOf(answer: WebhookAnswer, at: number): Attempt {
  const { status, latencyMs, response } = answer
  return { at, status, error: answer.outcome === 'refused' ? answer.error : null, latencyMs, response }
}

function attemptView({ at, status, error, latencyMs, response }: Attempt): AttemptView {
  return { at: rfc3339(at), status, error, latency_ms: latencyMs, response }
}
