/** Columns shared by many tables. Times are whole milliseconds since the Unix epoch. */
import { integer } from 'drizzle-orm/sqlite-core'

export const timestamps = {
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
}
