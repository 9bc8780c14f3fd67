/**
 * SQL of the delivery log: what became of each event at a webhook. Pending and dead deliveries are
 * few among very many, and operators look for them: each kind has an index of its own.
 */
import { and, desc, eq, isNull, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal } from '../../db/row-statements.ts'
import { type Delivery, deliveries, deliveryLanes, events, type Webhook } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { type Orm, statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import type { DeliveryStatus, StoredEventName } from '../../domain/states.ts'
import { endpointKey, type NewEvent, openDeliveryLane } from '../events/event-repository.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import { type Attempt, attemptsOf, recordAttempt } from './outcome-repository.ts'

export interface LoggedDelivery {
  delivery: Delivery
  eventId: string
  name: StoredEventName
  attempts: Attempt[]
  /** Time at which its lane is due; null when it doesn't wait, or is under way. */
  dueAt: number | null
}

export interface LogQuery {
  limit: number
  /** Id of a delivery: only older ones. */
  before?: string | undefined
  status?: DeliveryStatus | undefined
  event?: string | undefined
}

type WebhookKey = Pick<Webhook, 'identityId' | 'id'>

/** Rows read for one page where no index serves the filter: a few milliseconds. */
const MAX_SIFTED = 5_000

const param = sql.placeholder
const shown = {
  delivery: deliveries,
  eventId: events.eventId,
  name: events.name,
  dueAt: sql<number | null>`(select due_at from delivery_lanes
      where delivery_lanes.lane = deliveries.lane and lease_id is null and deliveries.status = 'pending')`,
}
const withEvent = (orm: Orm) =>
  orm.select(shown).from(deliveries).innerJoin(events, eq(events.seq, deliveries.eventSeq))
const byId = statement(orm =>
  withEvent(orm).where(
    and(eq(deliveries.id, textParam('id')), eq(deliveries.identityId, textParam('identityId'))),
  ),
)
const deliveriesWhere = (condition: SQL) =>
  statement(orm =>
    withEvent(orm).where(condition).orderBy(desc(deliveries.eventSeq)).limit(limitParam('limit')),
  )

/** Reads an index in the order of events, as far as `condition` allows. */
function inOrder(condition: SQL) {
  const older = sql`${deliveries.identityId} = ${textParam('identityId')} and ${deliveries.webhookId} = ${numberParam('webhookId')}
      and ${condition} and ${deliveries.eventSeq} < ${numberParam('before')}`
  return {
    page: deliveriesWhere(
      sql`${older} and ${deliveries.eventSeq} >= ${numberParam('from')}
          and coalesce(${textParam('status')}, ${deliveries.status}) = ${deliveries.status}
          and coalesce(${textParam('event')}, ${events.name}) = ${events.name}`,
    ),
    /** Finds the last of the next `skip` + 1. */
    end: statement(orm =>
      orm
        .select({ id: deliveries.id, eventSeq: deliveries.eventSeq })
        .from(deliveries)
        .where(older)
        .orderBy(desc(deliveries.eventSeq))
        .limit(ONE)
        .offset(limitParam('skip')),
    ),
  }
}
const all = inOrder(sql`true`)
// SQLite finds a partial index by its text, so the statuses are spelled out.
const dead = inOrder(sql`${deliveries.status} = 'dead'`)
// Sorts each page, since an index in the right order would cost every delivery two writes. The
// queue's index has all lanes of a webhook together: their names begin with its key and a slash,
// which `0` follows.
const pending = deliveriesWhere(
  sql`${deliveries.seq} in (select seq from deliveries
      where lane >= ${textParam('endpoint')} || '/' and lane < ${textParam('endpoint')} || '0' and status = 'pending'
        and event_seq < ${numberParam('before')} order by event_seq desc limit ${numberParam('limit')})`,
)

const beginAgain = statement(orm =>
  orm.update(deliveries).set({ uncountedAttempts: deliveries.attempts }).where(equal(deliveries, 'seq')),
)
const reopen = statement(orm =>
  orm
    .update(deliveries)
    .set({ status: 'pending', lane: sql`${param('lane')}`, settledAt: null })
    .where(equal(deliveries, 'seq')),
)
const hurry = statement(orm =>
  orm
    .update(deliveryLanes)
    .set({ dueAt: sql`min(${deliveryLanes.dueAt}, ${param('now')})` })
    .where(and(equal(deliveryLanes, 'lane'), isNull(deliveryLanes.leaseId))),
)

type Row = Omit<LoggedDelivery, 'attempts'>

export type DeliveryLogRepository = ReturnType<typeof createDeliveryLogRepository>

export function createDeliveryLogRepository(
  db: Pick<Db, 'read' | 'write'>,
  health: Pick<EndpointHealth, 'reset'>,
) {
  return {
    /**
     * Reads a bounded number of rows, whatever the filter: a page may hold fewer than `limit`
     * though there is more.
     * @returns null when there is no delivery `before`
     */
    page: (webhook: WebhookKey, query: LogQuery) => db.read(reader => readPage(reader, webhook, query)),

    find: (identityId: string, id: string) => db.read(reader => find(reader, identityId, id)),

    /**
     * Makes a delivery due now under its id, whatever became of it, unless it is under way. Its
     * retries begin again.
     * @returns null when there is no such delivery
     */
    retry: (identityId: string, id: string, now: number): Promise<'due' | 'under way' | null> =>
      db.write(async tx => {
        const row = await find(tx, identityId, id)
        if (!row) return null
        if (row.delivery.status === 'pending' && row.dueAt === null) return 'under way'
        tx.afterCommit(() => health.reset(endpointKey(identityId, row.delivery.webhookId)))
        await tx.run(beginAgain, { seq: row.delivery.seq })
        await requeue(tx, row.delivery, `aside/${id}`, now)
        return 'due'
      }),

    /** Stores an event that went to one webhook alone, and its try. */
    recordTest: (webhook: Webhook, deliveryId: string, { lane, ...event }: NewEvent, attempt: Attempt) =>
      db.write(async tx => {
        const { identityId, id: webhookId } = webhook
        const stored = await tx.get(orm =>
          orm
            .insert(events)
            .values({ ...event, name: event.payload.event, receivedAt: attempt.at })
            .returning({ seq: events.seq }),
        )
        if (!stored) return
        const delivery = await tx.get(orm =>
          orm
            .insert(deliveries)
            .values({
              id: deliveryId,
              identityId,
              webhookId,
              eventSeq: stored.seq,
              lane: `${endpointKey(identityId, webhookId)}/${lane}`,
              status: 'pending',
              attempts: 0,
              createdAt: attempt.at,
            })
            .returning(),
        )
        const status = attempt.error === null ? 'succeeded' : 'dead'
        if (delivery) await recordAttempt(tx, delivery, attempt, status)
      }),
  }
}

async function readPage(reader: Reader, webhook: WebhookKey, { limit, before, status, event }: LogQuery) {
  const start = await startOf(reader, webhook, before)
  if (start === null) return null
  const { identityId, id: webhookId } = webhook
  const of = { identityId, webhookId, before: start, limit }
  if (status === 'pending' && event === undefined) {
    const rows = await reader.all(pending, { ...of, endpoint: endpointKey(identityId, webhookId) })
    return pageOf(reader, rows, limit, null)
  }
  const { page, end } = status === 'dead' ? dead : all
  const isServed = event === undefined && (status === undefined || status === 'dead')
  const last = isServed ? undefined : await reader.get(end, { ...of, skip: MAX_SIFTED - 1 })
  const filter = { status: status ?? null, event: event ?? null, from: last?.eventSeq ?? 0 }
  return pageOf(reader, await reader.all(page, { ...of, ...filter }), limit, last?.id ?? null)
}

/** @returns the event's seq before which to go on; null when `before` isn't one of the webhook's */
async function startOf(
  reader: Reader,
  { identityId, id }: WebhookKey,
  before?: string,
): Promise<number | null> {
  if (before === undefined) return Number.MAX_SAFE_INTEGER
  const row = await reader.get(byId, { identityId, id: before })
  return row?.delivery.webhookId === id ? row.delivery.eventSeq : null
}

/**
 * @param end id of the last row that was read; null when there are no more
 * @returns newest event first; `next` is the delivery from which to go on, null at the end
 */
async function pageOf(reader: Reader, rows: readonly Row[], limit: number, end: string | null) {
  const found: LoggedDelivery[] = []
  for (const row of rows) found.push(await withAttempts(reader, row))
  const isFull = found.length === limit
  return { deliveries: found, next: isFull ? (found.at(-1)?.delivery.id ?? null) : end }
}

async function find(reader: Reader, identityId: string, id: string): Promise<LoggedDelivery | null> {
  const row = await reader.get(byId, { identityId, id })
  return row ? withAttempts(reader, row) : null
}

async function withAttempts(reader: Reader, row: Row): Promise<LoggedDelivery> {
  return { ...row, attempts: await attemptsOf(reader, row.delivery) }
}

/**
 * Makes a delivery due again under its id. A pending one stays in its lane, which becomes due; the
 * retries of a settled one begin again.
 * @param within the lane of a settled one, without the webhook's key
 */
export async function requeue(tx: Tx, delivery: Delivery, within: string, now: number): Promise<void> {
  if (delivery.status === 'pending') {
    await tx.run(hurry, { lane: delivery.lane, now })
    tx.emit('deliveries')
  } else {
    await tx.run(beginAgain, { seq: delivery.seq })
    await tx.run(reopen, { seq: delivery.seq, lane: await openDeliveryLane(tx, delivery, within, now) })
  }
}
