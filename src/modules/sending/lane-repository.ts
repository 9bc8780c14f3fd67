/** SQL that several parts of the outbox share: opening a lane, and finding the lanes of a device. */
import { type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import { outboxLanes } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'

const insertLane = statement(orm =>
  orm
    .insert(outboxLanes)
    .values({
      lane: sql.placeholder('lane'),
      deviceRowId: sql.placeholder('deviceRowId'),
      dueAt: sql.placeholder('dueAt'),
      leaseId: null,
      hasSlot: false,
    })
    .onConflictDoNothing(),
)

/**
 * Opens a lane in which a message begins to wait, and tells the outbox. A lane that exists keeps its
 * time: it waits for its slot or its retry, or its holder will see the message.
 */
export function openLane(tx: Tx, lane: { lane: string; deviceRowId: string; dueAt: number }): Promise<void> {
  tx.emit('accepted')
  return tx.run(insertLane, lane)
}

/**
 * All lanes of a device stand together in the primary key: their names begin with its id and a slash. Binds what `lanesOf` gives.
 * @param lane the column that names a lane: that of the lanes themselves, or that of the messages
 */
export function isLaneOfDevice(lane: SQLiteColumn = outboxLanes.lane): SQL {
  return sql`${lane} >= ${textParam('from')} and ${lane} < ${textParam('to')}`
}

/** The names of a device's lanes are from the first up to the second: `0` follows the slash. */
export function lanesOf(deviceRowId: string): { from: string; to: string } {
  return { from: `${deviceRowId}/`, to: `${deviceRowId}0` }
}
