/**
 * SQL of events: writes one with a delivery for each webhook that asks for it, and wakes the
 * dispatcher. A change and its event (of a message, a device) are written in one transaction, so
 * neither exists without the other.
 */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import { equal, given } from '../../db/row-statements.ts'
import { deliveries, deliveryLanes, events, type Webhook, webhooks } from '../../db/schema/index.ts'
import { numberParam, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { StoredEvent } from '../../domain/events.ts'
import { MESSAGE_EVENT_NAMES, type StoredEventName } from '../../domain/states.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { passesFilters } from './filter-repository.ts'

export interface NewEvent {
  identityId: string
  /** Unique within the identity: a known event isn't written again. */
  eventId: string
  /** A room, a device or a recipient: a webhook gets the events of a lane in order. */
  lane: string
  /** Empty for events outside a chat. */
  roomId: string
  /** Empty for events without a device. */
  deviceRowId: string
  /** Empty for events without a sender. */
  senderUserId: string
  mediaId: string | null
  payload: StoredEvent
}

/** An event that we make ourselves: there is no Matrix event, no chat and no sender. */
export function ownEvent({
  deviceRowId = '',
  ...event
}: Pick<NewEvent, 'identityId' | 'lane' | 'payload'> & { deviceRowId?: string }): NewEvent {
  const absent = { roomId: '', senderUserId: '', mediaId: null }
  return { ...event, ...absent, deviceRowId, eventId: timeOrderedId('evt_') }
}

/** Columns of an event as it is passed on, its payload still JSON text. */
export const passedOn = {
  identityId: events.identityId,
  eventId: events.eventId,
  name: events.name,
  deviceRowId: events.deviceRowId,
  senderUserId: events.senderUserId,
  mediaId: events.mediaId,
  payload: sql<string>`${events.payload}`,
}

/** A delivery of an event to a webhook, in a lane that orders it. */
export interface NewDelivery {
  identityId: string
  webhookId: number
  eventSeq: number
  /** That of the event, without the webhook's key. */
  lane: string
}

/** The name of a webhook in the rows of lanes, which bound deliveries in flight by endpoint. */
export function endpointKey(identityId: string, webhookId: number): string {
  return `${identityId}/${webhookId}`
}

const param = sql.placeholder

// An existing lane keeps its time: work waits there, or its holder will see this delivery.
const insertLane = statement(orm =>
  orm
    .insert(deliveryLanes)
    .values({ ...given('lane', 'endpoint'), dueAt: param('now'), leaseId: null })
    .onConflictDoNothing(),
)
const insertDelivery = statement(orm =>
  orm.insert(deliveries).values({
    ...given('id', 'identityId', 'webhookId', 'eventSeq', 'lane'),
    status: 'pending',
    attempts: 0,
    createdAt: param('now'),
  }),
)
const insertEvent = statement(orm =>
  orm
    .insert(events)
    .values({
      ...given(
        'identityId',
        'eventId',
        'name',
        'roomId',
        'deviceRowId',
        'senderUserId',
        'mediaId',
        'payload',
      ),
      receivedAt: param('now'),
    })
    .onConflictDoNothing()
    .returning({ seq: events.seq }),
)
const activeWebhooks = statement(orm =>
  orm
    .select({
      id: webhooks.id,
      events: webhooks.events,
      hasFilters: isNotNull(webhooks.filters).mapWith(Boolean),
    })
    .from(webhooks)
    .where(and(equal(webhooks, 'identityId'), eq(webhooks.active, true))),
)

// Asked only for webhooks with filters.
const wanted = statement(orm =>
  orm
    .select({ id: webhooks.id })
    .from(webhooks)
    .where(
      and(
        eq(webhooks.identityId, textParam('identityId')),
        eq(webhooks.id, numberParam('webhookId')),
        passesFilters(numberParam('eventSeq')),
      ),
    ),
)

/** @returns false when the identity has an event of this id already */
export async function writeEvent(
  tx: Tx,
  { lane: within, ...event }: NewEvent,
  now: number,
): Promise<boolean> {
  const { identityId, payload } = event
  const stored = await tx.get(insertEvent, { ...event, name: payload.event, now })
  if (!stored) return false
  const active = await tx.all(activeWebhooks, { identityId })
  for (const { id: webhookId, hasFilters } of active.filter(webhook => asksFor(webhook, payload.event))) {
    const eventSeq = stored.seq
    if (hasFilters && !(await tx.get(wanted, { identityId, webhookId, eventSeq }))) continue
    await writeDelivery(tx, { identityId, webhookId, eventSeq, lane: within }, now)
  }
  return true
}

export async function writeDelivery(tx: Tx, delivery: NewDelivery, now: number): Promise<void> {
  const { identityId, webhookId, eventSeq } = delivery
  const lane = await openDeliveryLane(tx, delivery, delivery.lane, now)
  await tx.run(insertDelivery, { id: timeOrderedId('evt_'), identityId, webhookId, eventSeq, lane, now })
}

/**
 * Makes sure that a lane exists for a delivery of the same transaction.
 * @param within the lane, without the webhook's key
 * @returns the lane's name
 */
export async function openDeliveryLane(
  tx: Tx,
  { identityId, webhookId }: Pick<NewDelivery, 'identityId' | 'webhookId'>,
  within: string,
  now: number,
): Promise<string> {
  const endpoint = endpointKey(identityId, webhookId)
  const lane = `${endpoint}/${within}`
  await tx.run(insertLane, { lane, endpoint, now })
  tx.emit('deliveries')
  return lane
}

/** Names the events a webhook asks for; one that names none gets those of messages received. */
export function eventsAskedFor({ events }: Pick<Webhook, 'events'>): readonly (StoredEventName | '*')[] {
  return events ?? MESSAGE_EVENT_NAMES
}

export function asksFor(webhook: Pick<Webhook, 'events'>, name: StoredEventName): boolean {
  const asked = eventsAskedFor(webhook)
  return asked.includes('*') || asked.includes(name)
}
