/**
 * SQL of events: writes one together with a delivery for each webhook that asks for it, and tells the dispatcher.
 * Whoever changes what an event tells of (inbox, messages, devices) writes it in the same transaction, so that
 * neither is ever there without the other.
 */
import { and, eq, sql } from 'drizzle-orm'
import { deliveries, deliveryLanes, inboxEvents, type Webhook, webhooks } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
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

/** A delivery of an event to a webhook, in a lane that orders it. */
export interface NewDelivery {
  identityId: string
  webhookId: number
  inboxSeq: number
  /** Within the webhook, as of `NewEvent`. */
  lane: string
}

/** Names a webhook in the lanes' rows: what is in flight to one endpoint is bounded. */
export function endpointKey(identityId: string, webhookId: number): string {
  return `${identityId}/${webhookId}`
}

const param = sql.placeholder

// A lane that exists keeps its time: work waits there already, or its holder will see this delivery.
const insertLane = statement(orm =>
  orm
    .insert(deliveryLanes)
    .values({ lane: param('lane'), endpoint: param('endpoint'), dueAt: param('now'), leaseId: null })
    .onConflictDoNothing(),
)
const insertDelivery = statement(orm =>
  orm.insert(deliveries).values({
    id: param('id'),
    identityId: param('identityId'),
    webhookId: param('webhookId'),
    inboxSeq: param('inboxSeq'),
    lane: param('lane'),
    status: 'pending',
    attempts: 0,
    createdAt: param('now'),
  }),
)
const insertEvent = statement(orm =>
  orm
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
    .returning({ seq: inboxEvents.seq }),
)
const activeWebhooks = statement(orm =>
  orm
    .select({ id: webhooks.id, events: webhooks.events })
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.active, true))),
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
  for (const { id: webhookId } of active.filter(webhook => asksFor(webhook, payload.event)))
    await writeDelivery(tx, { identityId, webhookId, inboxSeq: stored.seq, lane: within }, now)
  return true
}

export async function writeDelivery(tx: Tx, delivery: NewDelivery, now: number): Promise<void> {
  const { identityId, webhookId, inboxSeq } = delivery
  const lane = await openDeliveryLane(tx, delivery, delivery.lane, now)
  await tx.run(insertDelivery, { id: timeOrderedId('evt_'), identityId, webhookId, inboxSeq, lane, now })
}

/**
 * For a delivery that waits there in the same transaction.
 * @param within the webhook. @returns the lane's name
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
