/** What happened, as webhooks tell it, and which batches of the homeserver have been taken. */
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { StoredEvent } from '../../domain/events.ts'
import { STORED_EVENT_NAMES } from '../../domain/states.ts'

/** A trigger (migration 0008) notes in `identities.feed_gone_seq` what is removed. */
export const inboxEvents = sqliteTable(
  'inbox_events',
  {
    /** Grows by arrival: the cursor of the event feed. */
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    identityId: text('identity_id').notNull(),
    /** The Matrix event of a message; of anything else an id of our own. */
    eventId: text('event_id').notNull(),
    name: text('name', { enum: STORED_EVENT_NAMES }).notNull(),
    /** Empty for what didn't happen in a chat. */
    roomId: text('room_id').notNull(),
    /** Empty for what is no device's. */
    deviceRowId: text('device_row_id').notNull(),
    /** Empty where nobody said it. */
    senderUserId: text('sender_user_id').notNull(),
    mediaId: text('media_id'),
    payload: text('payload', { mode: 'json' }).$type<StoredEvent>().notNull(),
    receivedAt: integer('received_at').notNull(),
  },
  table => [
    uniqueIndex('inbox_events_event').on(table.identityId, table.eventId),
    index('inbox_events_feed').on(table.identityId, table.seq),
    // The feed by name: the events asked for may be few among a million others.
    index('inbox_events_kind').on(table.identityId, table.name, table.seq),
  ],
)

export type InboxEvent = typeof inboxEvents.$inferSelect

/** Application-service transactions already taken: they come again when our answer was lost. */
export const appserviceTransactions = sqliteTable('appservice_transactions', {
  /** The homeserver's id and a digest of what the transaction holds, since homeservers use ids again. */
  txnId: text('txn_id').primaryKey(),
  receivedAt: integer('received_at').notNull(),
})
