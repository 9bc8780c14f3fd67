/** The outbox: one row for each recipient of an accepted send. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { MESSAGE_STATUSES, RECIPIENT_KINDS } from '../../domain/states.ts'
import { timestamps } from './columns.ts'

export const messages = sqliteTable(
  'messages',
  {
    seq: integer('seq').primaryKey(),
    /** Also the Matrix transaction id, which makes a repeat of the send harmless. */
    id: text('id').notNull(),
    identityId: text('identity_id').notNull(),
    deviceRowId: text('device_row_id').notNull(),
    /** Messages of one lane are sent one after the other, in the order of `seq`. */
    lane: text('lane').notNull(),
    recipientKind: text('recipient_kind', { enum: RECIPIENT_KINDS }).notNull(),
    /** As the caller wrote it. */
    recipient: text('recipient').notNull(),
    text: text('text'),
    mediaId: text('media_id'),
    replyTo: text('reply_to'),
    /** Id of the message whose caption this is; null for what a client sent. */
    captionOf: text('caption_of'),
    status: text('status', { enum: MESSAGE_STATUSES }).notNull(),
    /** Why it failed, or why the last try did; null otherwise. */
    reason: text('reason'),
    attempts: integer('attempts').notNull(),
    /** How often it was sent again, as a new event, because the network didn't take it. */
    resends: integer('resends').notNull(),
    roomId: text('room_id'),
    eventId: text('event_id'),
    /** When it fails if it hasn't been handed over by then; null: it waits as long as it takes. */
    expiresAt: integer('expires_at'),
    /** Since its first try that has to be repeated, or since one before it in its lane held it up that was then given up; null before. */
    failingSince: integer('failing_since'),
    /** Since when its bridge refuses each try while the device is connected; null when the last try said something else. */
    refusedSince: integer('refused_since'),
    ...timestamps,
  },
  table => [
    uniqueIndex('messages_id').on(table.id),
    // Not while it waits: the fewer indexes an accepted send is in, the cheaper its commit.
    index('messages_event').on(table.eventId).where(sql`event_id is not null`),
    // What a read receipt may still change.
    index('messages_unread')
      .on(table.roomId, table.seq)
      .where(sql`status in ('submitted', 'sent', 'delivered')`),
    // What the bridge has said nothing about yet, by when it was handed over.
    index('messages_silent').on(table.updatedAt).where(sql`status = 'submitted'`),
    index('messages_identity').on(table.identityId, table.seq),
    // Only what waits is in this index, so finding a lane's next message doesn't walk through its past.
    index('messages_waiting').on(table.lane, table.seq).where(sql`status in ('queued', 'sending')`),
    index('messages_captions_waiting')
      .on(table.lane)
      .where(sql`caption_of is not null and status in ('queued', 'sending')`),
    index('messages_expiring').on(table.expiresAt).where(sql`status = 'queued' and expires_at is not null`),
    // Whether anything still needs a file.
    index('messages_media').on(table.mediaId).where(sql`media_id is not null`),
  ],
)

export type Message = typeof messages.$inferSelect

/** What was said of an event before the send that it is about was recorded: the homeserver can be faster than our own commit. */
export const earlyStatuses = sqliteTable(
  'early_statuses',
  {
    eventId: text('event_id').notNull(),
    /** Who said so; empty for a read receipt of anybody. */
    sender: text('sender').notNull(),
    status: text('status', { enum: MESSAGE_STATUSES }).notNull(),
    reason: text('reason'),
    receivedAt: integer('received_at').notNull(),
  },
  table => [primaryKey({ columns: [table.eventId, table.sender, table.status] })],
)

export type EarlyStatus = typeof earlyStatuses.$inferSelect
