/**
 * SQL that reads the delivery log. Those that wait and those that are dead are few among very many, and are what an operator looks for: each has an
 * index that holds nothing else, so that they are found at once however much came after them.
 */
import { and, desc, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Delivery, deliveries, inboxEvents, type Webhook } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import type { StoredEventName } from '../../domain/states.ts'
import { endpointKey } from '../events/repository.ts'
import { type Attempt, createAttemptReader } from './attempt-repository.ts'

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

export interface DeliveryLogReader {
  /**
   * Looks at a bounded number of rows, whatever the filter: a page may hold fewer than `limit` though there is more.
   * @param before id of a delivery: only older ones. @returns null when there is no such delivery
   */
  page(
    webhook: Pick<Webhook, 'identityId' | 'id'>,
    filter: LogFilter,
    limit: number,
    before: string | undefined,
  ): LogPage | null
  find(identityId: string, deliveryId: string): LoggedDelivery | null
}

/** Rows that are looked at for one page, where no index serves the filter: a few milliseconds. */
const MAX_SIFTED = 5_000

export function createDeliveryLogReader({ orm }: Pick<Db, 'orm'>): DeliveryLogReader {
  const attemptsOf = createAttemptReader({ orm })
  const shown = {
    delivery: deliveries,
    eventId: inboxEvents.eventId,
    name: inboxEvents.name,
    dueAt: sql<number | null>`(select due_at from delivery_lanes
      where delivery_lanes.lane = deliveries.lane and lease_id is null and deliveries.status = 'pending')`,
  }
  const byId = orm
    .select(shown)
    .from(deliveries)
    .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
    .where(and(eq(deliveries.id, textParam('id')), eq(deliveries.identityId, textParam('identityId'))))
    .prepare()

  const deliveriesWhere = (condition: SQL) =>
    orm
      .select(shown)
      .from(deliveries)
      .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
      .where(condition)
      .orderBy(desc(deliveries.inboxSeq))
      .limit(limitParam('limit'))
      .prepare()

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
      end: orm
        .select({ id: deliveries.id, inboxSeq: deliveries.inboxSeq })
        .from(deliveries)
        .where(older)
        .orderBy(desc(deliveries.inboxSeq))
        .limit(ONE)
        .offset(limitParam('skip'))
        .prepare(),
    }
  }
  const all = inOrder(sql`true`)
  // The statuses are spelled out, as a partial index is found by its text.
  const dead = inOrder(sql`${deliveries.status} = 'dead'`)
  // By the index of what is to be delivered, sorted for each page: one that is in order would cost every delivery two writes. All lanes of a webhook
  // stand together there: their names begin with its key and a slash, which `0` follows.
  const pending = deliveriesWhere(
    sql`${deliveries.seq} in (select seq from deliveries
      where lane >= ${textParam('endpoint')} || '/' and lane < ${textParam('endpoint')} || '0' and status = 'pending'
        and inbox_seq < ${numberParam('before')} order by inbox_seq desc limit ${numberParam('limit')})`,
  )

  const logged = (row: NonNullable<ReturnType<typeof byId.get>>): LoggedDelivery => ({
    ...row,
    attempts: attemptsOf(row.delivery),
  })

  /** The inbox seq to go on before; null when the delivery isn't one of the webhook's. */
  function startOf({ identityId, id }: Pick<Webhook, 'identityId' | 'id'>, before?: string): number | null {
    if (before === undefined) return Number.MAX_SAFE_INTEGER
    const row = byId.get({ identityId, id: before })
    return row?.delivery.webhookId === id ? row.delivery.inboxSeq : null
  }

  return {
    page(webhook, { status, name }, limit, before) {
      const start = startOf(webhook, before)
      if (start === null) return null
      const { identityId, id: webhookId } = webhook
      const of = { identityId, webhookId, before: start, limit }
      if (status === 'pending' && name === undefined) {
        const rows = pending.all({ ...of, endpoint: endpointKey(identityId, webhookId) })
        return pageOf(rows.map(logged), limit, null)
      }
      const { page, end } = status === 'dead' ? dead : all
      const isServed = name === undefined && (status === undefined || status === 'dead')
      const last = isServed ? undefined : end.get({ ...of, skip: MAX_SIFTED - 1 })
      const filter = { status: status ?? null, name: name ?? null, from: last?.inboxSeq ?? 0 }
      return pageOf(page.all({ ...of, ...filter }).map(logged), limit, last?.id ?? null)
    },

    find(identityId, id) {
      const row = byId.get({ identityId, id })
      return row ? logged(row) : null
    },
  }
}

/** @param end id of the last one that was looked at; null when that was the last there is */
function pageOf(found: LoggedDelivery[], limit: number, end: string | null): LogPage {
  const isFull = found.length === limit
  return { deliveries: found, next: isFull ? (found.at(-1)?.delivery.id ?? null) : end }
}
