/**
 * SQL of tries. The last one stands in the delivery's row, written by the statement that settles it anyway; only those before it are rows of
 * their own. So a delivery that succeeds at once, as nearly all do, has its log for nothing.
 */
import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Delivery, deliveries, deliveryAttempts } from '../../db/schema/index.ts'

/** A try at delivering. */
export interface Attempt {
  at: number
  /** HTTP status; null when there was no answer. */
  status: number | null
  /** Null when it succeeded. */
  error: string | null
  latencyMs: number
  /** How the answer's body begins. */
  response: string
}

export interface AttemptWriter {
  /**
   * To be called inside a transaction.
   * @param delivery as it was before the try
   * @returns false when it was removed meanwhile: then there is nothing to write
   */
  record(
    delivery: Pick<Delivery, 'seq' | 'id' | 'attempts'>,
    attempt: Attempt,
    status: Delivery['status'],
    now: number,
  ): boolean
}

export function createAttemptWriter({ orm }: Pick<Db, 'orm'>): AttemptWriter {
  const param = sql.placeholder
  const keepLast = orm
    .insert(deliveryAttempts)
    .select(
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
    )
    .prepare()
  const markTried = orm
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
    // The seq of what was removed may by now be another delivery's.
    .where(and(eq(deliveries.seq, param('seq')), eq(deliveries.id, param('id'))))
    .returning({ seq: deliveries.seq })
    .prepare()

  return {
    record({ seq, id, attempts }, { status: lastStatus, ...attempt }, status, now) {
      if (attempts > 0) keepLast.run({ seq, id })
      const settledAt = status === 'pending' ? null : now
      return markTried.get({ seq, id, status, lastStatus, ...attempt, settledAt }) !== undefined
    },
  }
}

/** @returns every try that is known, oldest first */
export type AttemptReader = (delivery: Delivery) => Attempt[]

export function createAttemptReader({ orm }: Pick<Db, 'orm'>): AttemptReader {
  const earlier = orm
    .select()
    .from(deliveryAttempts)
    .where(eq(deliveryAttempts.deliverySeq, sql.placeholder('seq')))
    .orderBy(asc(deliveryAttempts.attempt))
    .prepare()

  return delivery => {
    const tries = delivery.attempts > 1 ? earlier.all({ seq: delivery.seq }).map(attemptOf) : []
    if (delivery.lastAt === null) return tries
    const last = attemptOf({
      at: delivery.lastAt,
      status: delivery.lastStatus,
      error: delivery.lastError,
      latencyMs: delivery.lastLatencyMs,
      response: delivery.lastResponse,
    })
    return [...tries, last]
  }
}

function attemptOf({
  at,
  status,
  error,
  latencyMs,
  response,
}: Omit<typeof deliveryAttempts.$inferSelect, 'deliverySeq' | 'attempt'>): Attempt {
  return { at, status, error, latencyMs: latencyMs ?? 0, response: response ?? '' }
}
