/** Events of both directions, as webhooks deliver them. */
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { StoredEvent } from '../../domain/events.ts'
import { STORED_EVENT_NAMES } from '../../domain/states.ts'

/** A trigger (migration 0032) records removals in `identities.feed_gone_seq`. */
export const events = sqliteTable(
  'events',
  {
    /** Grows by arrival: the cursor of the event feed. */
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    identityId: text('identity_id').notNull(),
    /** Matrix event id of a message; our own id for any other event. */
    eventId: text('event_id').notNull(),
    name: text('name', { enum: STORED_EVENT_NAMES }).notNull(),
    /** Empty for events outside a chat. */
    roomId: text('room_id').notNull(),
    /** Empty for events without a device. */
    deviceRowId: text('device_row_id').notNull(),
    /** Empty for events without a sender. */
    senderUserId: text('sender_user_id').notNull(),
    mediaId: text('media_id'),
    payload: text('payload', { mode: 'json' }).$type<StoredEvent>().notNull(),
    receivedAt: integer('received_at').notNull(),
  },
  table => [
    uniqueIndex('events_event').on(table.identityId, table.eventId),
    index('events_feed').on(table.identityId, table.seq),
    // The feed by name: the requested events may be few among a million others.
    index('events_kind').on(table.identityId, table.name, table.seq),
  ],
)

export type EventRow = typeof events.$inferSelect
