/** Requests that may be retried without being done twice: by the key that the caller gave. */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    /** Whose key it is; nobody else's request finds it. */
    holder: text('holder').notNull(),
    key: text('key').notNull(),
    /** SHA-256 of what makes the request what it is: method, path and body. */
    fingerprint: text('fingerprint').notNull(),
    /** The first answer, sealed since it may hold a token or a secret; null while the request is under way. */
    answerSealed: text('answer_sealed'),
    createdAt: integer('created_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.holder, table.key] }),
    index('idempotency_keys_age').on(table.createdAt),
  ],
)
