/** Matrix users that the gateway acts as. Devices, messages and webhooks belong to an identity; tokens give access to it. */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'

export const identities = sqliteTable('identities', {
  id: text('id').primaryKey(),
  /** Full Matrix user id, `@localpart:server`. */
  matrixUserId: text('matrix_user_id').notNull().unique(),
  matrixDeviceId: text('matrix_device_id').notNull(),
  /** Sealed access token where the identity has one of its own; null when the application service speaks for it. */
  accessTokenSealed: text('access_token_sealed'),
  /** `next_batch` of the last /sync stored, where the identity has a /sync loop of its own. */
  syncToken: text('sync_token'),
  /** The super admin's identity, which tokens made with use_host share. One at most. */
  isHost: integer('is_host', { mode: 'boolean' }).notNull(),
  /** The id the identity's next webhook gets: ids count from 1 within an identity and are not used again. */
  nextWebhookId: integer('next_webhook_id').notNull().default(1),
  /** When somebody last read the event feed: as long as that isn't long ago, what nobody else asks for is kept for it, too. */
  feedReadAt: integer('feed_read_at'),
  /** The newest event that is no longer kept: a reader of the feed who hasn't got that far has missed something. */
  feedGoneSeq: integer('feed_gone_seq').notNull().default(0),
  ...timestamps,
})

export type Identity = typeof identities.$inferSelect
