/**
 * SQL of tries. The last one stands in the delivery's row, written by the statement that settles it anyway; only those before it are rows of
 * their own. So a delivery that succeeds at once, as nearly all do, has its log for nothing.
 */
import { and, asc, eq, sql } from 'drizzle-orm'
import { type Delivery, deliveries, deliveryAttempts } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'

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
    // The seq of what was removed may by now be another delivery's.
    .where(and(eq(deliveries.seq, param('seq')), eq(deliveries.id, param('id'))))
    .returning({ seq: deliveries.seq }),
)
const earlier = statement(orm =>
  orm
    .select()
    .from(deliveryAttempts)
    .where(eq(deliveryAttempts.deliverySeq, param('seq')))
    .orderBy(asc(deliveryAttempts.attempt)),
)

/**
 * @param delivery as it was before the try
 * @returns false when it was removed meanwhile: then there is nothing to write
 */
export async function recordAttempt(
  tx: Tx,
  { seq, id, attempts }: Pick<Delivery, 'seq' | 'id' | 'attempts'>,
  { status: lastStatus, ...attempt }: Attempt,
  status: Delivery['status'],
  now: number,
): Promise<boolean> {
  if (attempts > 0) await tx.run(keepLast, { seq, id })
  const settledAt = status === 'pending' ? null : now
  return (await tx.get(markTried, { seq, id, status, lastStatus, ...attempt, settledAt })) !== undefined
}

/** @returns every try that is known, oldest first */
export async function attemptsOf(reader: Reader, delivery: Delivery): Promise<Attempt[]> {
  const before = delivery.attempts > 1 ? await reader.all(earlier, { seq: delivery.seq }) : []
  const tries = before.map(attemptOf)
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

function attemptOf({
  at,
  status,
  error,
  latencyMs,
  response,
}: Omit<typeof deliveryAttempts.$inferSelect, 'deliverySeq' | 'attempt'>): Attempt {
  return { at, status, error, latencyMs: latencyMs ?? 0, response: response ?? '' }
}
