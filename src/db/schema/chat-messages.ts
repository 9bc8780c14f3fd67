/** Messages of chats from before a device was linked, as its bridge brings them. */
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { MessageContent } from '../../domain/facts.ts'
import { DIRECTIONS, MESSAGE_KINDS } from '../../domain/states.ts'

/** Everything that a message has beside its text. */
export type ChatMessageContent = Omit<MessageContent, 'kind' | 'message' | 'replyTo' | 'relatesTo'>

export const chatMessages = sqliteTable(
  'chat_messages',
  {
    /** Grows by storing: retention counts from there. */
    seq: integer('seq').primaryKey(),
    identityId: text('identity_id').notNull(),
    eventId: text('event_id').notNull(),
    roomId: text('room_id').notNull(),
    deviceRowId: text('device_row_id').notNull(),
    /** Matrix user id of a ghost, the identity, or the bot that speaks for a channel. */
    senderUserId: text('sender_user_id').notNull(),
    /** `out`: by the device's owner, at the phone or elsewhere. */
    direction: text('direction', { enum: DIRECTIONS }).notNull(),
    /** Edits and reactions are rows of their own, which name the message. */
    kind: text('kind', { enum: MESSAGE_KINDS }).notNull(),
    text: text('text').notNull(),
    /** Null once the message was deleted. Media stays at the homeserver: this has its address. */
    content: text('content', { mode: 'json' }).$type<ChatMessageContent>(),
    replyTo: text('reply_to'),
    relatesTo: text('relates_to'),
    sentAt: integer('sent_at').notNull(),
    storedAt: integer('stored_at').notNull(),
    deletedAt: integer('deleted_at'),
  },
  table => [
    uniqueIndex('chat_messages_event').on(table.identityId, table.eventId),
    index('chat_messages_chat').on(table.identityId, table.roomId, table.sentAt, table.seq),
    index('chat_messages_device').on(table.deviceRowId),
  ],
)

export type ChatMessage = typeof chatMessages.$inferSelect
