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
    /** The secret before it, which signs as well until `oldSecretUntil`; null when there is none. */
    oldSecretSealed: text('old_secret_sealed'),
    oldSecretUntil: integer('old_secret_until'),
    /** Further headers of its requests, as a JSON object, sealed: their values are the owner's secrets. Null: none. */
    headersSealed: text('headers_sealed'),
    /** Names of the events it asks for, `*` for all; null: those about messages received, as ever. */
    events: text('events', { mode: 'json' }).$type<(EventName | '*')[]>(),
    /** Why it was switched off by us; null otherwise. */
    disabledReason: text('disabled_reason'),
    /** When the first of the tries failed of which none has succeeded since; null while tries succeed. */
    failingSince: integer('failing_since'),
    /** Written once a minute at most. */
    lastSuccessAt: integer('last_success_at'),
    /** Of the last try that failed. */
    lastError: text('last_error'),
    lastErrorAt: integer('last_error_at'),
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
    /** Tries so far. The last of them stands in this row, those before it in `delivery_attempts`: most deliveries need but one. */
    attempts: integer('attempts').notNull(),
    /** Tries that no longer count, as it was asked for again after them: what decides on the next try is `attempts - forgiven`. */
    forgiven: integer('forgiven').notNull().default(0),
    /** Null before the first try, and of a try that an earlier version made. */
    lastAt: integer('last_at'),
    /** HTTP status of the last answer; null when there was none. */
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
    lastLatencyMs: integer('last_latency_ms'),
    /** How the last answer's body begins. */
    lastResponse: text('last_response'),
    settledAt: integer('settled_at'),
    createdAt: integer('created_at').notNull(),
  },
  table => [
    uniqueIndex('deliveries_id').on(table.id),
    // A lane is worked off in the order of what happened, which a replay's new rows aren't in.
    index('deliveries_waiting').on(table.lane, table.inboxSeq).where(sql`status = 'pending'`),
    // An event is delivered to a webhook under one id, however often. The delivery log reads this index backwards.
    uniqueIndex('deliveries_event').on(table.identityId, table.webhookId, table.inboxSeq),
    // Of the dead alone, so that it costs the others nothing.
    index('deliveries_dead')
      .on(table.identityId, table.webhookId, table.inboxSeq)
      .where(sql`status = 'dead'`),
  ],
)

export type Delivery = typeof deliveries.$inferSelect

/** The tries of a delivery before its last one. A trigger (migration 0008) removes them with the delivery. */
export const deliveryAttempts = sqliteTable(
  'delivery_attempts',
  {
    deliverySeq: integer('delivery_seq').notNull(),
    /** Counts from 1. */
    attempt: integer('attempt').notNull(),
    at: integer('at').notNull(),
    status: integer('status'),
    error: text('error'),
    latencyMs: integer('latency_ms'),
    response: text('response'),
  },
  table => [primaryKey({ columns: [table.deliverySeq, table.attempt] })],
)

/** Replays under way: past events that are made deliveries again, a batch at a time. */
export const replays = sqliteTable(
  'replays',
  {
    identityId: text('identity_id').notNull(),
    webhookId: integer('webhook_id').notNull(),
    /** Events received from here on, and before `until`. */
    since: integer('since').notNull(),
    until: integer('until').notNull(),
    /** Only what was tried and didn't succeed. */
    onlyFailed: integer('only_failed', { mode: 'boolean' }).notNull(),
    /** Where it stands: events up to this seq are done. */
    doneSeq: integer('done_seq').notNull(),
    /** The newest event there was when it was asked for. */
    lastSeq: integer('last_seq').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  table => [primaryKey({ columns: [table.identityId, table.webhookId] })],
)

export type Replay = typeof replays.$inferSelect
