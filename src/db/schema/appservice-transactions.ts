import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** Application-service transactions taken; the homeserver repeats one if our answer is lost. */
export const appserviceTransactions = sqliteTable('appservice_transactions', {
  /** The homeserver's id and a digest of the content, since homeservers reuse ids. */
  txnId: text('txn_id').primaryKey(),
  receivedAt: integer('received_at').notNull(),
})
