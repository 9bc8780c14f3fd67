/**
 * SQL that puts a message back into its lane: the network didn't take it, and may take it later as a
 * new event.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Message, messages } from '../../db/schema/index.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { createLaneOpener } from './lane-repository.ts'

export type Resent = Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>

/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

/**
 * Writes with the transaction of its caller.
 * @returns false, with nothing done, when it was sent often enough
 */
type Resender = (message: Resent, reason: string | null, now: number) => boolean

export function createResender(db: Pick<Db, 'orm'>): Resender {
  const param = sql.placeholder
  const openLane = createLaneOpener(db)
  const again = db.orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      eventId: null,
      resends: sql`${messages.resends} + 1`,
      failingSince: null,
      refusedSince: null,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq')))
    .prepare()

  return ({ seq, lane, deviceRowId, resends }, reason, now) => {
    if (resends >= MAX_RESENDS) return false
    again.run({ seq, reason, now })
    openLane({ lane, deviceRowId, dueAt: now + backoffMs(resends + 1, RETRY) })
    return true
  }
}
