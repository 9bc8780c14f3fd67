/** API clients that may manage tokens and other credentials by Basic authentication. */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { ROLES } from '../../domain/states.ts'
import { timestamps } from './columns.ts'

export const credentials = sqliteTable('credentials', {
  clientId: text('client_id').primaryKey(),
  /** argon2id in PHC format; the secret itself is never stored. */
  secretHash: text('secret_hash').notNull(),
  role: text('role', { enum: ROLES }).notNull(),
  scopes: text('scopes', { mode: 'json' }).$type<string[]>().notNull(),
  description: text('description').notNull(),
  active: integer('active', { mode: 'boolean' }).notNull(),
  ...timestamps,
})

export type Credential = typeof credentials.$inferSelect
