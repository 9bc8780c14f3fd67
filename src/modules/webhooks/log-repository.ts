/** SQL of the delivery log: what became of each event at a webhook, and asking for one again. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Delivery, deliveries, inboxEvents, type Webhook } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import type { StoredEventName } from '../../domain/states.ts'
import { endpointKey, type NewEvent } from '../events/repository.ts'
import { type Attempt, attemptsOf, createAttemptWriter } from './attempt-repository.ts'
import { createRequeuer } from './requeue-repository.ts'

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

export interface DeliveryLogRepository {
  /**
   * Looks at a bounded number of rows, whatever the filter: a page may hold fewer than `limit` though there is more.
   * @param before id of a delivery: only older ones. @returns null when there is no such delivery
   */
  page(
    webhook: Pick<Webhook, 'identityId' | 'id'>,
    filter: LogFilter,
    limit: number,
    before: string | undefined,
  ): Promise<LogPage | null>
  find(identityId: string, deliveryId: string): Promise<LoggedDelivery | null>
  /**
   * Makes it due now, whatever became of it, under the same id; nothing is changed while it is under way.
   * @returns null when there is no such delivery
   */
  retry(identityId: string, deliveryId: string, now: number): Promise<'due' | 'under way' | null>
  /** Stores an event that went to one webhook alone, and the try that was made. */
  recordTest(webhook: Webhook, deliveryId: string, event: NewEvent, attempt: Attempt): Promise<void>
}

/** Rows looked at for one page, and at a time. */
const MAX_SCANNED = 2_000
const SCAN_STEP = 200

export function createDeliveryLogRepository(db: Db): DeliveryLogRepository {
  const { orm, committer } = db
  const attempts = createAttemptWriter(db)
  const requeue = createRequeuer(db)
  const shown = {
    delivery: deliveries,
    eventId: inboxEvents.eventId,
    name: inboxEvents.name,
    dueAt: sql<number | null>`(select due_at from delivery_lanes
      where delivery_lanes.lane = deliveries.lane and lease_id is null and deliveries.status = 'pending')`,
  }
  const older = orm
    .select(shown)
    .from(deliveries)
    .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
    .where(
      and(
        eq(deliveries.identityId, textParam('identityId')),
        eq(deliveries.webhookId, numberParam('webhookId')),
        sql`${deliveries.inboxSeq} < ${numberParam('before')}`,
      ),
    )
    .orderBy(sql`${deliveries.inboxSeq} desc`)
    .limit(limitParam('limit'))
    .prepare()
  const byId = orm
    .select(shown)
    .from(deliveries)
    .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
    .where(and(eq(deliveries.id, textParam('id')), eq(deliveries.identityId, textParam('identityId'))))
    .prepare()

  const logged = (row: NonNullable<ReturnType<typeof byId.get>>): LoggedDelivery => ({
    ...row,
    attempts: attemptsOf(db, row.delivery),
  })

  /** The inbox seq to go on before; null when the delivery isn't one of the webhook's. */
  function startOf({ identityId, id }: Pick<Webhook, 'identityId' | 'id'>, before?: string): number | null {
    if (before === undefined) return Number.MAX_SAFE_INTEGER
    const row = byId.get({ identityId, id: before })
    return row?.delivery.webhookId === id ? row.delivery.inboxSeq : null
  }

  return {
    async page(webhook, { status, name }, limit, before) {
      const start = startOf(webhook, before)
      if (start === null) return null
      const isAsked = ({ delivery, name: of }: { delivery: Delivery; name: string }) =>
        (status === undefined || delivery.status === status) && (name === undefined || of === name)
      const isFiltered = status !== undefined || name !== undefined
      const found: LoggedDelivery[] = []
      const { identityId, id: webhookId } = webhook
      let scanned = 0
      let last: Delivery | undefined
      while (scanned < MAX_SCANNED) {
        const wanted = isFiltered ? SCAN_STEP : limit
        const rows = older.all({ identityId, webhookId, before: last?.inboxSeq ?? start, limit: wanted })
        for (const row of rows) {
          last = row.delivery
          if (isAsked(row) && found.push(logged(row)) === limit) return { deliveries: found, next: last.id }
        }
        if (rows.length < wanted) return { deliveries: found, next: null }
        scanned += rows.length
      }
      return { deliveries: found, next: last?.id ?? null }
    },

    find: async (identityId, id) => {
      const row = byId.get({ identityId, id })
      return row ? logged(row) : null
    },

    retry: (identityId, id, now) =>
      committer.write(() => {
        const row = byId.get({ identityId, id })
        if (!row) return null
        if (row.delivery.status === 'pending' && row.dueAt === null) return 'under way'
        requeue(row.delivery, `aside/${id}`, now)
        return 'due'
      }),

    recordTest: (webhook, deliveryId, event, attempt) =>
      committer.write(() => {
        const { identityId, id: webhookId } = webhook
        const { lane, ...columns } = event
        const { seq: inboxSeq } = orm
          .insert(inboxEvents)
          .values({ ...columns, name: event.payload.event, receivedAt: attempt.at })
          .returning({ seq: inboxEvents.seq })
          .get()
        const delivery = orm
          .insert(deliveries)
          .values({
            id: deliveryId,
            identityId,
            webhookId,
            inboxSeq,
            lane: `${endpointKey(identityId, webhookId)}/${lane}`,
            status: 'pending',
            attempts: 0,
            createdAt: attempt.at,
          })
          .returning()
          .get()
        attempts.record(delivery, attempt, attempt.error === null ? 'succeeded' : 'dead', attempt.at)
      }),
  }
}
