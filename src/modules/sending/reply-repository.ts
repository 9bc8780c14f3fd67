/**
 * SQL of messages' possible targets: an event that their device received or sent, or a message that
 * is still to be sent.
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { chats, type Device, inboxEvents, type Message, messages } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import { isChatOf } from '../chats/chat-repository.ts'

export type AnsweredMessage = Pick<Message, 'id' | 'deviceRowId' | 'status' | 'eventId'>

export interface ReplyTargets {
  /** True when the event is one of a chat of the device, received or sent. */
  hasEvent(device: Device, eventId: string): Promise<boolean>
  /** @returns null when the identity has no such message */
  message(identityId: string, id: string): Promise<AnsweredMessage | null>
}

const param = sql.placeholder
const received = statement(orm =>
  orm
    .select({
      deviceRowId: inboxEvents.deviceRowId,
      platform: chats.platform,
      receiver: chats.receiver,
    })
    .from(inboxEvents)
    .leftJoin(chats, and(eq(chats.identityId, inboxEvents.identityId), eq(chats.roomId, inboxEvents.roomId)))
    .where(and(eq(inboxEvents.identityId, param('identityId')), eq(inboxEvents.eventId, param('eventId')))),
)
const sent = statement(orm =>
  orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(
      // Spelled out, as a partial index is found by its text.
      sql`${messages.eventId} = ${param('eventId')} and event_id is not null and ${messages.deviceRowId} = ${param('deviceRowId')}`,
    ),
)
const one = statement(orm =>
  orm
    .select({
      id: messages.id,
      deviceRowId: messages.deviceRowId,
      status: messages.status,
      eventId: messages.eventId,
    })
    .from(messages)
    .where(and(eq(messages.id, param('id')), eq(messages.identityId, param('identityId')))),
)

export function createReplyTargets(db: Pick<Db, 'read'>): ReplyTargets {
  return {
    hasEvent: (device, eventId) =>
      db.read(async reader => {
        const { id: deviceRowId, identityId } = device
        const event = await reader.get(received, { identityId, eventId })
        // An event that several devices of an identity share is stored for one of them.
        if (event && (event.deviceRowId === deviceRowId || isChatOf(device, event))) return true
        return (await reader.get(sent, { eventId, deviceRowId })) !== undefined
      }),

    message: async (identityId, id) => (await db.read(reader => reader.get(one, { identityId, id }))) ?? null,
  }
}
