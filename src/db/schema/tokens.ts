/** Bearer tokens (mt_…), stored as HMAC-SHA256. */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'
import { credentials } from './credentials.ts'
import { identities } from './identities.ts'

export const tokens = sqliteTable(
  'tokens',
  {
    /** Random, see modules/tenants/token-repository.ts; ids from earlier versions count from 1. */
    id: integer('id').primaryKey({ autoIncrement: true }),
    /** Lowercase hex HMAC-SHA256 of the token under a key derived from SECRET_KEY. */
    tokenHash: text('token_hash').notNull().unique(),
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    /** Null for a token older than credentials. */
    credentialId: text('credential_id').references(() => credentials.clientId, { onDelete: 'cascade' }),
    isAdmin: integer('is_admin', { mode: 'boolean' }).notNull(),
    expiresAt: integer('expires_at'),
    lastUsedAt: integer('last_used_at'),
    ...timestamps,
  },
  table => [
    index('tokens_identity').on(table.identityId),
    // A credential's tokens in order of creation.
    index('tokens_credential').on(table.credentialId, table.createdAt, table.identityId, table.id),
  ],
)

export type Token = typeof tokens.$inferSelect
