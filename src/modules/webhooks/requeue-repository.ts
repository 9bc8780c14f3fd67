/** SQL that makes a delivery due again, under the id it has: asked for one by one, or by a replay. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Delivery, deliveries, deliveryLanes } from '../../db/schema/index.ts'
import { createDeliveryLaneOpener } from '../events/repository.ts'

/**
 * To be called inside a transaction.
 * @param lane within the webhook, for one that is over. One that still waits stays where it is, and its lane is due
 */
export type Requeuer = (delivery: Delivery, lane: string, now: number) => void

export function createRequeuer({ orm }: Pick<Db, 'orm'>): Requeuer {
  const param = sql.placeholder
  const openLane = createDeliveryLaneOpener({ orm })
  const reopen = orm
    .update(deliveries)
    .set({
      status: 'pending',
      lane: sql`${param('lane')}`,
      // Its retries begin anew.
      forgiven: deliveries.attempts,
      settledAt: null,
    })
    .where(eq(deliveries.seq, param('seq')))
    .prepare()
  const hurry = orm
    .update(deliveryLanes)
    .set({ dueAt: sql`min(${deliveryLanes.dueAt}, ${param('now')})` })
    .where(and(eq(deliveryLanes.lane, param('lane')), isNull(deliveryLanes.leaseId)))
    .prepare()

  return (delivery, within, now) => {
    if (delivery.status === 'pending') hurry.run({ lane: delivery.lane, now })
    else reopen.run({ seq: delivery.seq, lane: openLane(delivery, within, now) })
  }
}
