/** SQL that several parts of the outbox share: opening a lane, and finding the lanes of a device. */
import { type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { outboxLanes } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'

/**
 * To be called inside a transaction, for a lane in which a message waits. One that exists keeps its time: it waits for its slot or its retry, or
 * its holder will see the message.
 */
export type LaneOpener = (lane: { lane: string; deviceRowId: string; dueAt: number }) => void

export function createLaneOpener({ orm }: Pick<Db, 'orm'>): LaneOpener {
  const param = sql.placeholder
  const open = orm
    .insert(outboxLanes)
    .values({
      lane: param('lane'),
      deviceRowId: param('deviceRowId'),
      dueAt: param('dueAt'),
      leaseId: null,
      hasSlot: false,
    })
    .onConflictDoNothing()
    .prepare()
  return lane => void open.run(lane)
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
