/** Values the gateway makes once for itself, such as its application-service tokens. Secret ones are sealed. */
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const settings = sqliteTable('settings', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
})
