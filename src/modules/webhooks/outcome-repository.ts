/**
 * SQL of how a try ended: the try itself, for the delivery log, and what it says of its endpoint.
 *
 * The last try stands in the delivery's row, written by the statement that settles it anyway; only
 * earlier ones are rows of their own. Nearly all deliveries succeed at once, so their log is free.
 */
import { asc, eq, sql } from 'drizzle-orm'
import { equal } from '../../db/row-statements.ts'
import { type Delivery, deliveries, deliveryAttempts, type Webhook, webhooks } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { type NewEvent, ownEvent, writeEvent } from '../events/event-repository.ts'

/** A try at delivering. */
export interface Attempt {
  at: number
  /** HTTP status; null when there was no answer. */
  status: number | null
  /** Null when it succeeded. */
  error: string | null
  latencyMs: number
  /** Start of the answer's body. */
  response: string
}

export interface DeliverySettlement {
  attempt: Attempt
  /** `retry`: in its place, where its lane waits. `set_aside`: by itself, and its lane goes on. */
  outcome: 'succeeded' | 'dead' | 'retry' | 'set_aside'
  /** Time of the next try, or of this one if there is no next. */
  dueAt: number
  /** More of its tries that failed because of its endpoint. */
  uncounted: number
}

/** The state of an endpoint, as a try shows it. */
export type HealthNote =
  | { kind: 'succeeded' }
  | {
      kind: 'failed'
      error: string
      /** The endpoint wants nothing more. */
      isGone: boolean
      /** It is switched off when every try has failed for this long. */
      disableAfterMs: number
    }

const SECOND = [1_000, 'second'] as const
const UNITS = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], SECOND] as const

const param = sql.placeholder
const keepLast = statement(orm =>
  orm.insert(deliveryAttempts).select(
    orm
      .select({
        deliverySeq: deliveries.seq,
        attempt: deliveries.attempts,
        at: sql<number>`${deliveries.lastAt}`.as('at'),
        status: deliveries.lastStatus,
        error: deliveries.lastError,
        latencyMs: deliveries.lastLatencyMs,
        response: deliveries.lastResponse,
      })
      .from(deliveries)
      .where(
        sql`${deliveries.seq} = ${param('seq')} and ${deliveries.id} = ${param('id')} and ${deliveries.lastAt} is not null`,
      ),
  ),
)
const markTried = statement(orm =>
  orm
    .update(deliveries)
    .set({
      status: sql`${param('status')}`,
      attempts: sql`${deliveries.attempts} + 1`,
      lastAt: sql`${param('at')}`,
      lastStatus: sql`${param('lastStatus')}`,
      lastError: sql`${param('error')}`,
      lastLatencyMs: sql`${param('latencyMs')}`,
      lastResponse: sql`${param('response')}`,
      settledAt: sql`${param('settledAt')}`,
    })
    // Another delivery may have taken the seq of one that was removed.
    .where(equal(deliveries, 'seq', 'id'))
    .returning({ seq: deliveries.seq }),
)
const earlierAttempts = statement(orm =>
  orm
    .select()
    .from(deliveryAttempts)
    .where(eq(deliveryAttempts.deliverySeq, param('seq')))
    .orderBy(asc(deliveryAttempts.attempt)),
)
const sameEndpoint = equal(webhooks, 'identityId', 'id', 'url')
const noteSuccess = statement(orm =>
  orm
    .update(webhooks)
    .set({ failingSince: null, lastSuccessAt: sql`${param('now')}` })
    .where(sameEndpoint),
)
const noteFailure = statement(orm =>
  orm
    .update(webhooks)
    .set({
      failingSince: sql`coalesce(${webhooks.failingSince}, ${param('now')})`,
      lastError: sql`${param('error')}`,
      lastErrorAt: sql`${param('now')}`,
    })
    .where(sameEndpoint)
    .returning(),
)
const switchOff = statement(orm =>
  orm
    .update(webhooks)
    .set({ active: false, disabledReason: sql`${param('reason')}`, updatedAt: sql`${param('now')}` })
    .where(sameEndpoint),
)

/**
 * @param delivery as it was before the try
 * @returns false when it was removed meanwhile: then nothing is written
 */
export async function recordAttempt(
  tx: Tx,
  { seq, id, attempts }: Pick<Delivery, 'seq' | 'id' | 'attempts'>,
  { status: lastStatus, ...attempt }: Attempt,
  status: Delivery['status'],
): Promise<boolean> {
  if (attempts > 0) await tx.run(keepLast, { seq, id })
  const settledAt = status === 'pending' ? null : attempt.at
  return (await tx.get(markTried, { seq, id, status, lastStatus, ...attempt, settledAt })) !== undefined
}

/** @returns every known try, oldest first */
export async function attemptsOf(reader: Reader, delivery: Delivery): Promise<Attempt[]> {
  const { seq, attempts, lastAt: at, lastStatus: status, lastError: error } = delivery
  const earlier = attempts > 1 ? await reader.all(earlierAttempts, { seq }) : []
  const last = { at, status, error, latencyMs: delivery.lastLatencyMs, response: delivery.lastResponse }
  return [...earlier, last].flatMap(({ at, status, error, latencyMs, response }) =>
    at === null ? [] : [{ at, status, error, latencyMs: latencyMs ?? 0, response: response ?? '' }],
  )
}

/**
 * Ignores results for a URL the webhook no longer uses.
 * @returns why this switched the webhook off; null when it didn't
 */
export async function writeHealth(
  tx: Tx,
  { identityId, id, url }: Pick<Webhook, 'identityId' | 'id' | 'url'>,
  note: HealthNote,
  now: number,
): Promise<string | null> {
  if (note.kind === 'succeeded') {
    await tx.run(noteSuccess, { identityId, id, url, now })
    return null
  }
  const webhook = await tx.get(noteFailure, { identityId, id, url, error: note.error, now })
  const reason = webhook ? reasonToDisable(webhook, note, now) : null
  if (!webhook?.active || reason === null) return null
  // First, so that the webhook gets no event about itself.
  await tx.run(switchOff, { identityId, id, url, reason, now })
  await writeEvent(tx, disabledEvent(webhook, reason, now), now)
  return reason
}

function reasonToDisable(
  { failingSince }: Webhook,
  { isGone, disableAfterMs }: Extract<HealthNote, { kind: 'failed' }>,
  now: number,
): string | null {
  // Standard Webhooks, "Delivery": 410 says that the endpoint wants nothing more.
  if (isGone) return 'the endpoint answered 410 Gone'
  if (failingSince === null || now - failingSince < disableAfterMs) return null
  return `every try has failed for ${inWords(disableAfterMs)}`
}

/** In the largest unit that is exact. */
function inWords(ms: number): string {
  const [unitMs, unit] = UNITS.find(([each]) => ms % each === 0) ?? SECOND
  const count = Math.round(ms / unitMs)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** The gateway switched the webhook off. Goes to the identity's other webhooks and the feed. */
export function disabledEvent(webhook: Webhook, reason: string, now: number): NewEvent {
  const { id, url, failingSince } = webhook
  return eventAbout(webhook, {
    event: 'webhook.disabled',
    timestamp: rfc3339(now),
    webhook_id: id,
    url,
    reason,
    failing_since: failingSince === null ? null : rfc3339(failingSince),
  })
}

/** The owner tests the webhook, which alone gets this. */
export function testEvent(webhook: Webhook, now: number): NewEvent {
  const timestamp = rfc3339(now)
  return eventAbout(webhook, { event: 'webhook.test', timestamp, webhook_id: webhook.id })
}

function eventAbout({ identityId, id }: Webhook, payload: NewEvent['payload']): NewEvent {
  return ownEvent({ identityId, lane: `webhook/${id}`, payload })
}
