/**
 * Puts a message back into its lane after the bridge said that its network didn't take it and may take it later. It is sent as a new event then:
 * the old one stays failed at the bridge.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Message, messages, outboxLanes } from '../../db/schema/index.ts'
import { backoffMs } from '../../lib/backoff.ts'

/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

export type Requeue = (
  message: Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>,
  reason: string | null,
  now: number,
) => void

/** @returns a function to be called inside a transaction; it fails the message when it was sent often enough */
export function createRequeue({ orm }: Db): Requeue {
  const param = sql.placeholder
  const again = orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      eventId: null,
      resends: sql`${messages.resends} + 1`,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq')))
    .prepare()
  const fail = orm
    .update(messages)
    .set({ status: 'failed', reason: sql`${param('reason')}`, updatedAt: sql`${param('now')}` })
    .where(eq(messages.seq, param('seq')))
    .prepare()
  const openLane = orm
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

  return ({ seq, lane, deviceRowId, resends }, reason, now) => {
    if (resends >= MAX_RESENDS) {
      fail.run({ seq, reason, now })
      return
    }
    again.run({ seq, reason, now })
    openLane.run({ lane, deviceRowId, dueAt: now + backoffMs(resends + 1, RETRY) })
  }
}
