/** SQL of scheduled messages: when one is due it takes its place in its lane, behind what waits. */
import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devices, messages } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import { openLane } from '../sending/queue/lane-repository.ts'

// Another worker fails those of deleted devices.
const due = statement(orm =>
  orm
    .select({ seq: messages.seq, lane: messages.lane, deviceRowId: messages.deviceRowId })
    .from(messages)
    .where(
      sql`${messages.status} = 'scheduled' and ${messages.sendAt} <= ${numberParam('now')}
        and not exists (select 1 from ${devices} where ${devices.id} = ${messages.deviceRowId}
          and (${devices.removedAt} is not null or ${messages.seq} <= ${devices.discardedThrough}))`,
    )
    .orderBy(messages.sendAt, messages.seq)
    .limit(limitParam('limit')),
)
const takePlace = statement(orm =>
  orm
    .update(messages)
    .set({
      seq: sql`(select max(seq) + 1 from messages)`,
      status: 'queued',
      updatedAt: sql`${sql.placeholder('now')}`,
    })
    .where(sql`${messages.seq} = ${sql.placeholder('seq')}`),
)
const next = statement(orm =>
  orm
    .select({ sendAt: messages.sendAt })
    .from(messages)
    .where(sql`${messages.status} = 'scheduled' and ${messages.sendAt} > ${numberParam('now')}`)
    .orderBy(messages.sendAt)
    .limit(ONE),
)

export type ScheduleRepository = ReturnType<typeof createScheduleRepository>

export function createScheduleRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /**
     * Lets messages wait in their lanes whose time has come, at most `limit`, the earliest first.
     * @returns how many
     */
    async queueDue(now: number, limit: number): Promise<number> {
      // Seldom is there anything to write.
      if (!(await db.read(reader => reader.get<unknown>(due, { now, limit: 1 })))) return 0
      return db.write(async tx => {
        const found = await tx.all(due, { now, limit })
        for (const { seq, lane, deviceRowId } of found) {
          await tx.run(takePlace, { seq, now })
          await openLane(tx, { lane, deviceRowId, dueAt: now })
        }
        return found.length
      })
    },

    /** @returns when the next one is due, in epoch milliseconds; null when there is none */
    nextAt: async (now: number): Promise<number | null> =>
      (await db.read(reader => reader.get(next, { now })))?.sendAt ?? null,
  }
}
