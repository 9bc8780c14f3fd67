/**
 * SQL of messages: storing those that are accepted, each in its lane, finding what they answer,
 * and showing what became of them.
 */
import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { chats, type Device, devices, events, type Message, messages } from '../../db/schema/index.ts'
import { type Orm, sqlStatement, statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { shownStatus } from '../../domain/states.ts'
import type { MessageView } from '../../domain/views/message.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { isChatOf } from '../chats/chat-repository.ts'
import type { NewFile } from '../media/media.ts'
import { storeFile } from '../media/repository.ts'
import { actsOnMessages } from './act-repository.ts'
import { openLane } from './queue/lane-repository.ts'

export type NewMessage = Pick<
  Message,
  | 'id'
  | 'identityId'
  | 'deviceRowId'
  | 'lane'
  | 'recipientKind'
  | 'recipient'
  | 'text'
  | 'mediaId'
  | 'replyTo'
  | 'expiresAt'
> &
  /** Absent: at once. */
  Partial<Pick<Message, 'content' | 'metadata' | 'sendAt'>>

export interface MessageWithDevice {
  message: Message
  platform: string
  deviceId: string
  chatId: string | null
}

export type AnsweredMessage = Pick<Message, 'id' | 'deviceRowId' | 'status' | 'eventId' | 'sendAt'>

/** A message's place in its chat: that of its file, if it is a caption. */
export const PLACE = sql<number>`case when caption_of is null then seq else coalesce(
  (select file.seq from messages as file where file.id = messages.caption_of), seq) end`

const param = sql.placeholder
const insertMessage = statement(orm => orm.insert(messages).values(valuesOf('queued')))
const PARTS = { content: sql`${param('content')}`, metadata: sql`${param('metadata')}` }
const insertWithParts = statement(orm => orm.insert(messages).values({ ...valuesOf('queued'), ...PARTS }))
const insertScheduled = statement(orm =>
  orm.insert(messages).values({ ...valuesOf('scheduled'), ...PARTS, sendAt: param('sendAt') }),
)
const ownById = and(
  eq(messages.identityId, param('identityId')),
  eq(messages.id, param('id')),
  isNull(messages.captionOf),
  isNull(messages.act),
)
const seqOf = statement(orm => orm.select({ seq: messages.seq }).from(messages).where(ownById))
const one = statement(orm => withDevice(orm).where(ownById))

const received = statement(orm =>
  orm
    .select({
      deviceRowId: events.deviceRowId,
      platform: chats.platform,
      receiver: chats.receiver,
    })
    .from(events)
    .leftJoin(chats, and(eq(chats.identityId, events.identityId), eq(chats.roomId, events.roomId)))
    .where(and(eq(events.identityId, param('identityId')), eq(events.eventId, param('eventId')))),
)
const sent = statement(orm =>
  orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(
      // Spelled out, as a partial index is found by its text.
      sql`${messages.eventId} = ${param('eventId')} and event_id is not null and ${messages.deviceRowId} = ${param('deviceRowId')}
        and ${messages.act} is null`,
    ),
)
// As the index messages_unread has it: a message that was read has a reader, who mostly has
// answered.
const saidInChat = sqlStatement(`
  SELECT 1 FROM chats WHERE identity_id = $identityId AND room_id = $roomId AND peer IS NOT NULL
  UNION ALL
  SELECT 1 FROM messages WHERE room_id = $roomId AND room_id IS NOT NULL AND status IN ('submitted', 'sent', 'delivered')
    AND status <> 'submitted'
  LIMIT 1`)
const answered = statement(orm =>
  orm
    .select({
      id: messages.id,
      deviceRowId: messages.deviceRowId,
      status: messages.status,
      eventId: messages.eventId,
      sendAt: messages.sendAt,
    })
    .from(messages)
    .where(and(eq(messages.id, param('id')), eq(messages.identityId, param('identityId')))),
)

/** True for messages that were handed over into a room which its bridge has closed since. */
export const isInClosedRoom = sql`exists (select 1 from chats where chats.identity_id = messages.identity_id
  and chats.room_id = messages.room_id and moved_to is not null)`

const closedRoomOf = statement(orm =>
  orm
    .select({ roomId: chats.roomId })
    .from(chats)
    .where(
      // Spelled out, as a partial index is found by its text.
      sql`${chats.identityId} = ${param('identityId')} and ${chats.movedTo} is not null and ${chats.roomId} <> ${param('roomId')}
        and ${chats.roomId} in (
          select room_id from events where identity_id = ${param('identityId')} and event_id = ${param('eventId')}
          union all
          select room_id from messages where event_id = ${param('eventId')} and event_id is not null)`,
    ),
)

export type MessageRepository = ReturnType<typeof createMessageRepository>

export function createMessageRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /**
     * @param files of the rows
     * @param record is called once they are stored, in the same transaction
     */
    accept: (
      rows: readonly NewMessage[],
      files: readonly NewFile[] | undefined,
      now: number,
      record?: (tx: Tx) => Promise<void>,
    ) =>
      db.write(async tx => {
        for (const file of files ?? []) await storeFile(tx, file, now)
        for (const row of rows) {
          if (row.sendAt == null) {
            if (row.content || row.metadata) await tx.run(insertWithParts, { ...asJson(row), now })
            else await tx.run(insertMessage, { ...row, now })
            await openLane(tx, { lane: row.lane, deviceRowId: row.deviceRowId, dueAt: now })
          } else {
            await tx.run(insertScheduled, { ...asJson(row), now })
            tx.emit('scheduled')
          }
        }
        await record?.(tx)
      }),

    get: (identityId: string, id: string) => db.read(reader => findMessage(reader, identityId, id)),

    /** @returns null when the identity has no message `before` */
    list: (identityId: string, limit: number, before?: string): Promise<MessageWithDevice[] | null> =>
      db.read(async reader => {
        const start = before && (await reader.get(seqOf, { identityId, id: before }))
        if (before && !start) return null
        const older = start ? lt(messages.seq, start.seq) : undefined
        const own = and(
          eq(messages.identityId, identityId),
          isNull(messages.captionOf),
          isNull(messages.act),
          older,
        )
        return reader.all(orm => withDevice(orm).where(own).orderBy(desc(messages.seq)).limit(limit))
      }),

    /** True when the event is one of a chat of the device, received or sent. */
    hasEvent: (device: Device, eventId: string) =>
      db.read(async reader => {
        const { id: deviceRowId, identityId } = device
        const event = await reader.get(received, { identityId, eventId })
        // An event that several devices of an identity share is stored for one of them.
        if (event && (event.deviceRowId === deviceRowId || isChatOf(device, event))) return true
        return (await reader.get(sent, { eventId, deviceRowId })) !== undefined
      }),

    /** True once something was said in the direct chat, by either side. */
    isUnderWay: (identityId: string, roomId: string) =>
      db.read(async reader => (await reader.get<unknown>(saidInChat, { identityId, roomId })) !== undefined),

    /** @returns the acts on messages of an identity, by message, oldest first */
    actsOn: (identityId: string, ids: readonly string[]) =>
      db.read(async reader =>
        Map.groupBy(await actsOnMessages(reader, identityId, ids), act => act.target ?? ''),
      ),

    /** @returns the message that is answered; null when the identity has none with this id */
    answered: async (identityId: string, id: string): Promise<AnsweredMessage | null> =>
      (await db.read(reader => reader.get(answered, { identityId, id }))) ?? null,
  }
}

function valuesOf(status: 'queued' | 'scheduled') {
  return {
    id: param('id'),
    identityId: param('identityId'),
    deviceRowId: param('deviceRowId'),
    lane: param('lane'),
    recipientKind: param('recipientKind'),
    recipient: param('recipient'),
    text: param('text'),
    mediaId: param('mediaId'),
    replyTo: param('replyTo'),
    expiresAt: param('expiresAt'),
    // Constants are written into the statement: each value bound costs.
    status: sql.raw(`'${status}'`),
    attempts: sql`0`,
    resends: sql`0`,
    createdAt: param('now'),
    updatedAt: param('now'),
  }
}

/** @returns null when the identity has no such message */
export async function findMessage(
  reader: Reader,
  identityId: string,
  id: string,
): Promise<MessageWithDevice | null> {
  return (await reader.get(one, { identityId, id })) ?? null
}

// Before it is sent, its chat is known by the room that was found for its recipient.
const ROOM = sql`coalesce(${messages.roomId}, (select room_id from resolved_recipients
    where device_row_id = ${messages.deviceRowId} and recipient_key = substr(${messages.lane}, length(${messages.deviceRowId}) + 2)),
  ${messages.recipient})`
const CHAT_ID = sql<string | null>`coalesce((select coalesce(living.id, chat.id) from chats as chat
    left join chats as living on living.identity_id = chat.identity_id and living.room_id = chat.moved_to
    where chat.identity_id = ${messages.identityId} and chat.room_id = ${ROOM}),
  case when ${messages.recipient} glob 'chat_*' and length(${messages.recipient}) = 37 then ${messages.recipient} end)`

function asJson(row: NewMessage) {
  const json = (value: unknown) => (value ? JSON.stringify(value) : null)
  return { ...row, content: json(row.content), metadata: json(row.metadata) }
}

export function withDevice(orm: Orm) {
  return orm
    .select({
      message: messages,
      platform: devices.platform,
      deviceId: devices.deviceId,
      chatId: CHAT_ID.as('chat_id'),
    })
    .from(messages)
    .innerJoin(devices, eq(devices.id, messages.deviceRowId))
}

/** A message as clients see it, but for when it is due, which only those who ask are told. */
export function messageView(
  { message, platform, deviceId, chatId }: MessageWithDevice,
  updatedAt = message.updatedAt,
): Omit<MessageView, 'due_at' | 'actions' | 'deleted_at'> {
  return {
    id: message.id,
    platform,
    device_id: deviceId,
    to: message.recipient,
    chat_id: chatId,
    status: shownStatus(message.status),
    reason: message.reason,
    event_id: message.eventId,
    send_at: message.sendAt === null ? null : rfc3339(message.sendAt),
    metadata: message.metadata,
    expires_at: message.expiresAt === null ? null : rfc3339(message.expiresAt),
    created_at: rfc3339(message.createdAt),
    updated_at: rfc3339(updatedAt),
  }
}

/** From when its waiting counts: that of a scheduled message begins at its time. */
export function waitsSince({ createdAt, sendAt }: Pick<Message, 'createdAt' | 'sendAt'>): number {
  return Math.max(createdAt, sendAt ?? createdAt)
}

/** True when an event was said in another room than this one, which its bridge has closed. */
export async function isSaidInClosedRoom(
  reader: Reader,
  identityId: string,
  eventId: string,
  roomId: string,
): Promise<boolean> {
  return (await reader.get(closedRoomOf, { identityId, eventId, roomId })) !== undefined
}
