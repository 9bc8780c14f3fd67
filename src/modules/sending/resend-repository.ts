/**
 * SQL that puts a message back into its lane: the network didn't take it, and may take it later as a
 * new event.
 */
import { eq, sql } from 'drizzle-orm'
import { type Message, messages } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { openLane } from './lane-repository.ts'

export type Resent = Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>

/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

const again = statement(orm =>
  orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${sql.placeholder('reason')}`,
      eventId: null,
      resends: sql`${messages.resends} + 1`,
      failingSince: null,
      refusedSince: null,
      updatedAt: sql`${sql.placeholder('now')}`,
    })
    .where(eq(messages.seq, sql.placeholder('seq'))),
)

/** @returns false, with nothing done, when it was sent often enough */
export async function resend(
  tx: Tx,
  { seq, lane, deviceRowId, resends }: Resent,
  reason: string | null,
  now: number,
): Promise<boolean> {
  if (resends >= MAX_RESENDS) return false
  await tx.run(again, { seq, reason, now })
  await openLane(tx, { lane, deviceRowId, dueAt: now + backoffMs(resends + 1, RETRY) })
  return true
}
