/** Endpoints that receive an identity's events, and what is to be delivered to each. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { DELIVERY_STATUSES, type EventName } from '../../domain/states.ts'
import { timestamps } from './columns.ts'
import { identities } from './identities.ts'

export const webhooks = sqliteTable(
  'webhooks',
  {
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    /** Counts from 1 within the identity. */
    id: integer('id').notNull(),
    url: text('url').notNull(),
    active: integer('active', { mode: 'boolean' }).notNull(),
    /** The signing secret (whsec_…), sealed. */
    secretSealed: text('secret_sealed').notNull(),
    /** Names of the events it asks for, `*` for all; null: those about messages received, as ever. */
    events: text('events', { mode: 'json' }).$type<(EventName | '*')[]>(),
    /** Why it was switched off by us (the endpoint answered 410); null otherwise. */
    disabledReason: text('disabled_reason'),
    ...timestamps,
  },
  table => [
    primaryKey({ columns: [table.identityId, table.id] }),
    uniqueIndex('webhooks_url').on(table.identityId, table.url),
  ],
)

export type Webhook = typeof webhooks.$inferSelect

export const deliveries = sqliteTable(
  'deliveries',
  {
    seq: integer('seq').primaryKey(),
    /** The webhook-id header: the same on every try. */
    id: text('id').notNull(),
    identityId: text('identity_id').notNull(),
    webhookId: integer('webhook_id').notNull(),
    inboxSeq: integer('inbox_seq').notNull(),
    /** Deliveries of one lane (one webhook, one chat) are made one after the other. */
    lane: text('lane').notNull(),
    status: text('status', { enum: DELIVERY_STATUSES }).notNull(),
    attempts: integer('attempts').notNull(),
    /** HTTP status of the last answer; null when there was none. */
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
    settledAt: integer('settled_at'),
    createdAt: integer('created_at').notNull(),
  },
  table => [
    uniqueIndex('deliveries_id').on(table.id),
    index('deliveries_waiting').on(table.lane, table.seq).where(sql`status = 'pending'`),
    index('deliveries_webhook').on(table.identityId, table.webhookId, table.seq),
  ],
)

export type Delivery = typeof deliveries.$inferSelect
