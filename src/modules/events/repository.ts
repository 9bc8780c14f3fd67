/**
 * SQL of events: writes one together with a delivery for each webhook that asks for it. Whoever changes what an event tells of (inbox, messages,
 * devices) calls it in the same transaction, so that neither is ever there without the other.
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveries, deliveryLanes, inboxEvents, type Webhook, webhooks } from '../../db/schema/index.ts'
import type { StoredEvent } from '../../domain/events.ts'
import { MESSAGE_EVENT_NAMES, type StoredEventName } from '../../domain/states.ts'
import { timeOrderedId } from '../../lib/tokens.ts'

export interface NewEvent {
  identityId: string
  /** Unique within the identity: what is known already isn't written again. */
  eventId: string
  /** Its deliveries to a webhook come in order with those of the same lane: a room, a device, a recipient. */
  lane: string
  /** Empty for what didn't happen in a chat. */
  roomId: string
  /** Empty for what is no device's. */
  deviceRowId: string
  /** Empty where nobody said it. */
  senderUserId: string
  mediaId: string | null
  payload: StoredEvent
}

/** Its functions are to be called inside a transaction. */
export interface EventWriter {
  /** @returns null when the identity has an event of this id already; else whether there is something to deliver */
  write(event: NewEvent, now: number): { deliveries: boolean } | null
}

/** A delivery of an event to a webhook, in a lane that orders it. */
export interface NewDelivery {
  identityId: string
  webhookId: number
  inboxSeq: number
  /** Within the webhook, as of `NewEvent`. */
  lane: string
}

/** To be called inside a transaction. */
export type DeliveryWriter = (delivery: NewDelivery, now: number) => void

/** Names a webhook in the lanes' rows: what is in flight to one endpoint is bounded. */
export function endpointKey(identityId: string, webhookId: number): string {
  return `${identityId}/${webhookId}`
}

/** To be called inside a transaction in which a delivery waits there. @param within the webhook. @returns the lane's name */
export type DeliveryLaneOpener = (
  of: Pick<NewDelivery, 'identityId' | 'webhookId'>,
  within: string,
  now: number,
) => string

export function createDeliveryLaneOpener({ orm }: Pick<Db, 'orm'>): DeliveryLaneOpener {
  const param = sql.placeholder
  // A lane that exists keeps its time: work waits there already, or its holder will see this delivery.
  const open = orm
    .insert(deliveryLanes)
    .values({ lane: param('lane'), endpoint: param('endpoint'), dueAt: param('now'), leaseId: null })
    .onConflictDoNothing()
    .prepare()
  return ({ identityId, webhookId }, within, now) => {
    const endpoint = endpointKey(identityId, webhookId)
    const lane = `${endpoint}/${within}`
    open.run({ lane, endpoint, now })
    return lane
  }
}

export function createDeliveryWriter({ orm }: Pick<Db, 'orm'>): DeliveryWriter {
  const param = sql.placeholder
  const openLane = createDeliveryLaneOpener({ orm })
  const insertDelivery = orm
    .insert(deliveries)
    .values({
      id: param('id'),
      identityId: param('identityId'),
      webhookId: param('webhookId'),
      inboxSeq: param('inboxSeq'),
      lane: param('lane'),
      status: 'pending',
      attempts: 0,
      createdAt: param('now'),
    })
    .prepare()
  return (delivery, now) => {
    const { identityId, webhookId, inboxSeq } = delivery
    const lane = openLane(delivery, delivery.lane, now)
    insertDelivery.run({ id: timeOrderedId('evt_'), identityId, webhookId, inboxSeq, lane, now })
  }
}

export function createEventWriter({ orm }: Pick<Db, 'orm'>): EventWriter {
  const param = sql.placeholder
  const deliver = createDeliveryWriter({ orm })
  const insertEvent = orm
    .insert(inboxEvents)
    .values({
      identityId: param('identityId'),
      eventId: param('eventId'),
      name: param('name'),
      roomId: param('roomId'),
      deviceRowId: param('deviceRowId'),
      senderUserId: param('senderUserId'),
      mediaId: param('mediaId'),
      payload: param('payload'),
      receivedAt: param('now'),
    })
    .onConflictDoNothing()
    .returning({ seq: inboxEvents.seq })
    .prepare()
  const activeWebhooks = orm
    .select({ id: webhooks.id, events: webhooks.events })
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.active, true)))
    .prepare()

  return {
    write({ lane: within, ...event }, now) {
      const { identityId, payload } = event
      const stored = insertEvent.get({ ...event, name: payload.event, now })
      if (!stored) return null
      const asking = activeWebhooks.all({ identityId }).filter(webhook => asksFor(webhook, payload.event))
      for (const { id: webhookId } of asking)
        deliver({ identityId, webhookId, inboxSeq: stored.seq, lane: within }, now)
      return { deliveries: asking.length > 0 }
    },
  }
}

/** What a webhook asks for: one that names no events gets those of messages received. */
export function eventsAskedFor({ events }: Pick<Webhook, 'events'>): readonly (StoredEventName | '*')[] {
  return events ?? MESSAGE_EVENT_NAMES
}

export function asksFor(webhook: Pick<Webhook, 'events'>, name: StoredEventName): boolean {
  const asked = eventsAskedFor(webhook)
  return asked.includes('*') || asked.includes(name)
}
