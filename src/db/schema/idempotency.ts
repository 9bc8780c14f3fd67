/** Requests that may be retried without running twice, by the caller's key. */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    /** Owner of the key; only the owner's requests find it. */
    holder: text('holder').notNull(),
    key: text('key').notNull(),
    /** SHA-256 of the request's method, path and body. */
    fingerprint: text('fingerprint').notNull(),
    /** First answer, sealed because it may hold a token or secret; null while the request runs. */
    answerSealed: text('answer_sealed'),
    createdAt: integer('created_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.holder, table.key] }),
    index('idempotency_keys_age').on(table.createdAt),
  ],
)
