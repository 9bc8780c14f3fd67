/** Endpoints that receive an identity's events, and the deliveries to each. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { DELIVERY_STATUSES, type EventName, MEDIA_MODES } from '../../domain/states.ts'
import type { WebhookFilters } from '../../domain/views/webhook.ts'
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
    /** Signing secret (whsec_…), sealed. */
    secretSealed: text('secret_sealed').notNull(),
    /** Previous secret, which also signs until `oldSecretUntil`; null when there is none. */
    oldSecretSealed: text('old_secret_sealed'),
    oldSecretUntil: integer('old_secret_until'),
    /** Additional request headers, a sealed JSON object with the owner's secrets; null: none. */
    headersSealed: text('headers_sealed'),
    /** Names of subscribed events, `*` for all; null: those about received messages. */
    events: text('events', { mode: 'json' }).$type<(EventName | '*')[]>(),
    /** Which of these events; null: all. */
    filters: text('filters', { mode: 'json' }).$type<WebhookFilters>(),
    /** How it gets the files of messages; null: inline. */
    media: text('media', { enum: MEDIA_MODES }),
    /** Why we switched it off; null otherwise. */
    disabledReason: text('disabled_reason'),
    /** First failure since the last success; null while tries succeed. */
    failingSince: integer('failing_since'),
    /** Written at most once a minute. */
    lastSuccessAt: integer('last_success_at'),
    /** Error of the last failed try. */
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
    eventSeq: integer('event_seq').notNull(),
    /** Deliveries of one lane (one webhook, one chat) are made one after the other. */
    lane: text('lane').notNull(),
    status: text('status', { enum: DELIVERY_STATUSES }).notNull(),
    /** Tries so far. The row holds the last; `delivery_attempts` holds earlier ones, rarely any. */
    attempts: integer('attempts').notNull(),
    /**
     * Tries that don't decide about the next: those before its owner asked for it again, and those
     * that an outage of its endpoint failed.
     */
    uncountedAttempts: integer('uncounted_attempts').notNull().default(0),
    /** Null before the first try, and for a try made by an earlier version. */
    lastAt: integer('last_at'),
    /** HTTP status of the last answer; null when there was none. */
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
    lastLatencyMs: integer('last_latency_ms'),
    /** Start of the last answer's body. */
    lastResponse: text('last_response'),
    settledAt: integer('settled_at'),
    createdAt: integer('created_at').notNull(),
  },
  table => [
    uniqueIndex('deliveries_id').on(table.id),
    // A lane follows the order of events, which a replay's new rows don't have.
    index('deliveries_waiting').on(table.lane, table.eventSeq).where(sql`status = 'pending'`),
    // One delivery per event and webhook. The delivery log reads this index backwards.
    uniqueIndex('deliveries_event').on(table.identityId, table.webhookId, table.eventSeq),
    // Covers only dead deliveries, so that it costs the others nothing.
    index('deliveries_dead')
      .on(table.identityId, table.webhookId, table.eventSeq)
      .where(sql`status = 'dead'`),
  ],
)

export type Delivery = typeof deliveries.$inferSelect

/** Tries of a delivery before its last. A trigger (migration 0008) removes them with it. */
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

/** Running replays: past events become deliveries again, a batch at a time. */
export const replays = sqliteTable(
  'replays',
  {
    identityId: text('identity_id').notNull(),
    webhookId: integer('webhook_id').notNull(),
    /** Covers events received from here on and before `until`. */
    since: integer('since').notNull(),
    until: integer('until').notNull(),
    /** Only events that were tried without success. */
    onlyFailed: integer('only_failed', { mode: 'boolean' }).notNull(),
    /** Progress: events up to this seq are done. */
    doneSeq: integer('done_seq').notNull(),
    /** The newest event when the replay was requested. */
    lastSeq: integer('last_seq').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  table => [primaryKey({ columns: [table.identityId, table.webhookId] })],
)

export type Replay = typeof replays.$inferSelect
