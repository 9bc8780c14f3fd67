/** Matrix users the gateway acts as. Devices, messages and webhooks belong to an identity. */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'

export const identities = sqliteTable('identities', {
  id: text('id').primaryKey(),
  /** Full Matrix user id, `@localpart:server`. */
  matrixUserId: text('matrix_user_id').notNull().unique(),
  matrixDeviceId: text('matrix_device_id').notNull(),
  /** Sealed access token if the identity has one; null: the application service speaks for it. */
  accessTokenSealed: text('access_token_sealed'),
  /** `next_batch` of the last stored /sync, if the identity has its own /sync loop. */
  syncToken: text('sync_token'),
  /** True for the super admin's identity, shared by tokens made with use_host. At most one. */
  isHost: integer('is_host', { mode: 'boolean' }).notNull(),
  /** Id of the identity's next webhook: ids count from 1 and are never reused. */
  nextWebhookId: integer('next_webhook_id').notNull().default(1),
  /** Last read of the event feed; while recent, events nobody else asks for are kept too. */
  feedReadAt: integer('feed_read_at'),
  /** The newest event no longer kept: a feed reader behind it has missed something. */
  feedGoneSeq: integer('feed_gone_seq').notNull().default(0),
  ...timestamps,
})

export type Identity = typeof identities.$inferSelect
