/** SQL that makes a delivery due again, under the id it has: asked for one by one, or by a replay. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import { type Delivery, deliveries, deliveryLanes } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { openDeliveryLane } from '../events/event-repository.ts'

const param = sql.placeholder
const reopen = statement(orm =>
  orm
    .update(deliveries)
    .set({
      status: 'pending',
      lane: sql`${param('lane')}`,
      // Its retries begin anew.
      forgiven: deliveries.attempts,
      settledAt: null,
    })
    .where(eq(deliveries.seq, param('seq'))),
)
const hurry = statement(orm =>
  orm
    .update(deliveryLanes)
    .set({ dueAt: sql`min(${deliveryLanes.dueAt}, ${param('now')})` })
    .where(and(eq(deliveryLanes.lane, param('lane')), isNull(deliveryLanes.leaseId))),
)

/**
 * A delivery that still waits stays in its lane, which becomes due.
 * @param within the webhook, the lane of one that is over
 */
export async function requeue(tx: Tx, delivery: Delivery, within: string, now: number): Promise<void> {
  if (delivery.status === 'pending') {
    await tx.run(hurry, { lane: delivery.lane, now })
    tx.emit('deliveries')
  } else {
    await tx.run(reopen, { seq: delivery.seq, lane: await openDeliveryLane(tx, delivery, within, now) })
  }
}
