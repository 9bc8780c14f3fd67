/**
 * The history of chats: messages that came in, were written at the phone, or were sent from here,
 * and those from before a device was linked, as its bridge brings them.
 */
import { sql } from 'drizzle-orm'
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
    /** `out`: by the device's owner, here, at the phone or elsewhere. */
    direction: text('direction', { enum: DIRECTIONS }).notNull(),
    /** Reactions and votes are rows of their own, which name the message; so are edits, empty. */
    kind: text('kind', { enum: MESSAGE_KINDS }).notNull(),
    /** As the last edit has it. */
    text: text('text').notNull(),
    /** Null once the message was deleted. */
    content: text('content', { mode: 'json' }).$type<ChatMessageContent>(),
    replyTo: text('reply_to'),
    relatesTo: text('relates_to'),
    sentAt: integer('sent_at').notNull(),
    storedAt: integer('stored_at').notNull(),
    deletedAt: integer('deleted_at'),
    /** The id of a message that was sent from here. */
    messageId: text('message_id'),
    /** Its file, which may still be at the homeserver alone. */
    mediaId: text('media_id'),
    editedAt: integer('edited_at'),
  },
  table => [
    uniqueIndex('chat_messages_event').on(table.identityId, table.eventId),
    // Conditions are spelled out, as a partial index is found by its text.
    index('chat_messages_shown')
      .on(table.identityId, table.roomId, table.sentAt, table.seq)
      .where(sql`relates_to is null`),
    index('chat_messages_related').on(table.identityId, table.relatesTo).where(sql`relates_to is not null`),
    uniqueIndex('chat_messages_sent').on(table.messageId).where(sql`message_id is not null`),
    index('chat_messages_media').on(table.mediaId).where(sql`media_id is not null`),
    index('chat_messages_device').on(table.deviceRowId),
    // The id of a message in chat_search.
    index('chat_messages_found').on(sql`(sent_at << 21) | (seq & 2097151)`).where(sql`relates_to is null`),
  ],
)

export type ChatMessage = typeof chatMessages.$inferSelect
