/** The outbox: one row for each recipient of an accepted send, and for each act. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { ActArguments } from '../../domain/act-arguments.ts'
import { ACT_TYPES, MESSAGE_STATUSES, RECIPIENT_KINDS } from '../../domain/states.ts'
import type { Metadata, SendContent } from '../../domain/views/message-content.ts'
import { timestamps } from './columns.ts'

export const messages = sqliteTable(
  'messages',
  {
    seq: integer('seq').primaryKey(),
    /** Also the Matrix transaction id, which makes a repeated send harmless. */
    id: text('id').notNull(),
    identityId: text('identity_id').notNull(),
    deviceRowId: text('device_row_id').notNull(),
    /** Messages of one lane are sent in order of `seq`: a scheduled one gets it when it is due. */
    lane: text('lane').notNull(),
    recipientKind: text('recipient_kind', { enum: RECIPIENT_KINDS }).notNull(),
    /** Null: it is a message. */
    act: text('act', { enum: ACT_TYPES }),
    /** The message that an act is for: its id, or its event's if it wasn't sent from here. */
    target: text('target'),
    /** As written by the caller; of an act the chat, as far as it is known. */
    recipient: text('recipient').notNull(),
    text: text('text'),
    mediaId: text('media_id'),
    replyTo: text('reply_to'),
    /** Id of the message whose caption this is; null for a client's own text. */
    captionOf: text('caption_of'),
    content: text('content', { mode: 'json' }).$type<SendContent & ActArguments>(),
    metadata: text('metadata', { mode: 'json' }).$type<Metadata>(),
    /** It isn't sent before; null: at once. */
    sendAt: integer('send_at'),
    status: text('status', { enum: MESSAGE_STATUSES }).notNull(),
    /** Why it failed, or why the last try did; null otherwise. */
    reason: text('reason'),
    attempts: integer('attempts').notNull(),
    /** Times it was sent again as a new event because the network refused it. */
    resends: integer('resends').notNull(),
    /** It isn't sent again before; null: at once. */
    resendAt: integer('resend_at'),
    roomId: text('room_id'),
    eventId: text('event_id'),
    /** Fails if not handed over by then; null: it waits without limit. */
    expiresAt: integer('expires_at'),
    /** Since a try that must be repeated, its own or of a message given up before it; else null. */
    failingSince: integer('failing_since'),
    /** Since when the bridge refuses each try of a connected device; null after another outcome. */
    refusedSince: integer('refused_since'),
    /** When it was taken back from those who got it. */
    deletedAt: integer('deleted_at'),
    ...timestamps,
  },
  table => [
    uniqueIndex('messages_id').on(table.id),
    // Excludes waiting messages: fewer indexes make an accepted send's commit cheaper.
    index('messages_event').on(table.eventId).where(sql`event_id is not null`),
    // Messages a read receipt may still change. The room comes first, as accepted ones have none.
    index('messages_unread')
      .on(table.roomId, table.seq)
      .where(sql`room_id is not null and status in ('submitted', 'sent', 'delivered')`),
    // Messages without a status from the bridge, by handover time.
    index('messages_silent').on(table.updatedAt).where(sql`status = 'submitted'`),
    index('messages_identity').on(table.identityId, table.seq),
    // Holds only waiting messages, so that finding a lane's next one skips its past.
    index('messages_waiting').on(table.lane, table.seq).where(sql`status in ('queued', 'sending')`),
    index('messages_captions_waiting')
      .on(table.lane)
      .where(sql`caption_of is not null and status in ('queued', 'sending')`),
    index('messages_expiring').on(table.expiresAt).where(sql`status = 'queued' and expires_at is not null`),
    index('messages_scheduled').on(table.sendAt).where(sql`status = 'scheduled'`),
    index('messages_scheduled_lanes').on(table.lane).where(sql`status = 'scheduled'`),
    // Finds out whether a message still needs a file.
    index('messages_media').on(table.mediaId).where(sql`media_id is not null`),
    // The acts on a message.
    index('messages_target').on(table.target, table.seq).where(sql`target is not null`),
  ],
)

export type Message = typeof messages.$inferSelect

/** Statuses that arrive before the send is recorded: the homeserver can beat our own commit. */
export const unmatchedStatuses = sqliteTable(
  'unmatched_statuses',
  {
    eventId: text('event_id').notNull(),
    /** Who reported it; empty for a read receipt. */
    sender: text('sender').notNull(),
    status: text('status', { enum: MESSAGE_STATUSES }).notNull(),
    reason: text('reason'),
    receivedAt: integer('received_at').notNull(),
  },
  table => [primaryKey({ columns: [table.eventId, table.sender, table.status] })],
)

export type UnmatchedStatus = typeof unmatchedStatuses.$inferSelect
