/** The events that are about a webhook itself. */
import type { Webhook } from '../../db/schema/index.ts'
import type { WebhookDisabledEvent, WebhookTestEvent } from '../../domain/events.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import type { NewEvent } from '../events/event-repository.ts'

/** It was switched off by us. For the identity's other webhooks and the feed. */
export function disabledEvent(webhook: Webhook, reason: string, now: number): NewEvent {
  const { id, url, failingSince } = webhook
  const payload: WebhookDisabledEvent = {
    event: 'webhook.disabled',
    timestamp: rfc3339(now),
    webhook_id: id,
    url,
    reason,
    failing_since: failingSince === null ? null : rfc3339(failingSince),
  }
  return eventAbout(webhook, payload)
}

/** It is tried out. For nobody but the webhook. */
export function testEvent(webhook: Webhook, now: number): NewEvent {
  const payload: WebhookTestEvent = {
    event: 'webhook.test',
    timestamp: rfc3339(now),
    webhook_id: webhook.id,
  }
  return eventAbout(webhook, payload)
}

function eventAbout({ identityId, id }: Webhook, payload: NewEvent['payload']): NewEvent {
  return {
    identityId,
    eventId: timeOrderedId('evt_'),
    lane: `webhook/${id}`,
    roomId: '',
    deviceRowId: '',
    senderUserId: '',
    mediaId: null,
    payload,
  }
}
