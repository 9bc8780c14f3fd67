/**
 * SQL that reads the delivery log. Those that wait and those that are dead are few among very many, and are what an operator looks for: each has an
 * index that holds nothing else, so that they are found at once however much came after them.
 */
import { and, desc, eq, type SQL, sql } from 'drizzle-orm'
import { type Delivery, deliveries, inboxEvents, type Webhook } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import type { StoredEventName } from '../../domain/states.ts'
import { endpointKey } from '../events/event-repository.ts'
import { type Attempt, attemptsOf } from './attempt-repository.ts'

export interface LoggedDelivery {
  delivery: Delivery
  eventId: string
  name: StoredEventName
  attempts: Attempt[]
  /** When its lane is due; null when it doesn't wait, or is under way. */
  dueAt: number | null
}

export interface LogFilter {
  status?: Delivery['status'] | undefined
  name?: string | undefined
}

export interface LogPage {
  /** Newest event first. */
  deliveries: LoggedDelivery[]
  /** Id of the last one looked at, from which to go on; null when there is nothing older. */
  next: string | null
}

/** Rows that are looked at for one page, where no index serves the filter: a few milliseconds. */
const MAX_SIFTED = 5_000

const shown = {
  delivery: deliveries,
  eventId: inboxEvents.eventId,
  name: inboxEvents.name,
  dueAt: sql<number | null>`(select due_at from delivery_lanes
      where delivery_lanes.lane = deliveries.lane and lease_id is null and deliveries.status = 'pending')`,
}
const byId = statement(orm =>
  orm
    .select(shown)
    .from(deliveries)
    .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
    .where(and(eq(deliveries.id, textParam('id')), eq(deliveries.identityId, textParam('identityId')))),
)

const deliveriesWhere = (condition: SQL) =>
  statement(orm =>
    orm
      .select(shown)
      .from(deliveries)
      .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
      .where(condition)
      .orderBy(desc(deliveries.inboxSeq))
      .limit(limitParam('limit')),
  )

/** By an index that is in the order of events, of those that `condition` leaves. */
function inOrder(condition: SQL) {
  const older = sql`${deliveries.identityId} = ${textParam('identityId')} and ${deliveries.webhookId} = ${numberParam('webhookId')}
      and ${condition} and ${deliveries.inboxSeq} < ${numberParam('before')}`
  return {
    page: deliveriesWhere(
      sql`${older} and ${deliveries.inboxSeq} >= ${numberParam('from')}
          and coalesce(${textParam('status')}, ${deliveries.status}) = ${deliveries.status}
          and coalesce(${textParam('name')}, ${inboxEvents.name}) = ${inboxEvents.name}`,
    ),
    /** The last of the next so many. */
    end: statement(orm =>
      orm
        .select({ id: deliveries.id, inboxSeq: deliveries.inboxSeq })
        .from(deliveries)
        .where(older)
        .orderBy(desc(deliveries.inboxSeq))
        .limit(ONE)
        .offset(limitParam('skip')),
    ),
  }
}
const all = inOrder(sql`true`)
// The statuses are spelled out, as a partial index is found by its text.
const dead = inOrder(sql`${deliveries.status} = 'dead'`)
// Uses the index of what is to be delivered, and sorts each page: an index in the right order would
// cost every delivery two writes. All lanes of a webhook stand together there: their names begin
// with its key and a slash, which `0` follows.
const pending = deliveriesWhere(
  sql`${deliveries.seq} in (select seq from deliveries
      where lane >= ${textParam('endpoint')} || '/' and lane < ${textParam('endpoint')} || '0' and status = 'pending'
        and inbox_seq < ${numberParam('before')} order by inbox_seq desc limit ${numberParam('limit')})`,
)

type Row = Omit<LoggedDelivery, 'attempts'>

/** The inbox seq to go on before; null when the delivery isn't one of the webhook's. */
async function startOf(
  reader: Reader,
  { identityId, id }: Pick<Webhook, 'identityId' | 'id'>,
  before?: string,
): Promise<number | null> {
  if (before === undefined) return Number.MAX_SAFE_INTEGER
  const row = await reader.get(byId, { identityId, id: before })
  return row?.delivery.webhookId === id ? row.delivery.inboxSeq : null
}

/**
 * Looks at a bounded number of rows, whatever the filter: a page may hold fewer than `limit` though
 * there is more.
 * @param before id of a delivery: only older ones. @returns null when there is no such delivery
 */
export async function readLogPage(
  reader: Reader,
  webhook: Pick<Webhook, 'identityId' | 'id'>,
  { status, name }: LogFilter,
  limit: number,
  before: string | undefined,
): Promise<LogPage | null> {
  const start = await startOf(reader, webhook, before)
  if (start === null) return null
  const { identityId, id: webhookId } = webhook
  const of = { identityId, webhookId, before: start, limit }
  if (status === 'pending' && name === undefined) {
    const rows = await reader.all(pending, { ...of, endpoint: endpointKey(identityId, webhookId) })
    return pageOf(reader, rows, limit, null)
  }
  const { page, end } = status === 'dead' ? dead : all
  const isServed = name === undefined && (status === undefined || status === 'dead')
  const last = isServed ? undefined : await reader.get(end, { ...of, skip: MAX_SIFTED - 1 })
  const filter = { status: status ?? null, name: name ?? null, from: last?.inboxSeq ?? 0 }
  return pageOf(reader, await reader.all(page, { ...of, ...filter }), limit, last?.id ?? null)
}

export async function findLogged(
  reader: Reader,
  identityId: string,
  id: string,
): Promise<LoggedDelivery | null> {
  const row = await reader.get(byId, { identityId, id })
  return row ? logged(reader, row) : null
}

/** @param end id of the last one that was looked at; null when that was the last there is */
async function pageOf(
  reader: Reader,
  rows: readonly Row[],
  limit: number,
  end: string | null,
): Promise<LogPage> {
  const found: LoggedDelivery[] = []
  for (const row of rows) found.push(await logged(reader, row))
  const isFull = found.length === limit
  return { deliveries: found, next: isFull ? (found.at(-1)?.delivery.id ?? null) : end }
}

async function logged(reader: Reader, row: Row): Promise<LoggedDelivery> {
  return { ...row, attempts: await attemptsOf(reader, row.delivery) }
}
