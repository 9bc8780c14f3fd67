/**
 * What becomes of a message's status, for the outbox and the inbox alike. A message that the network didn't take and may take later goes back into its
 * lane, and is sent as a new event: the old one stays failed at the bridge.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Message, messages, outboxLanes } from '../../db/schema/index.ts'
import type { MessageStatus } from '../../domain/states.ts'
import { backoffMs } from '../../lib/backoff.ts'

/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

/** Its functions are to be called inside a transaction. */
export interface StatusWriter {
  set(seq: number, status: MessageStatus, reason: string | null, now: number): void
  /** Queues the message again, or fails it when it was sent often enough. */
  requeue(
    message: Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>,
    reason: string | null,
    now: number,
  ): void
}

export function createStatusWriter({ orm }: Db): StatusWriter {
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
  const setStatus = orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: sql`${param('reason')}`,
      updatedAt: sql`${param('now')}`,
    })
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

  function set(seq: number, status: MessageStatus, reason: string | null, now: number): void {
    setStatus.run({ seq, status, reason, now })
  }

  return {
    set,
    requeue({ seq, lane, deviceRowId, resends }, reason, now) {
      if (resends >= MAX_RESENDS) {
        set(seq, 'failed', reason, now)
        return
      }
      again.run({ seq, reason, now })
      openLane.run({ lane, deviceRowId, dueAt: now + backoffMs(resends + 1, RETRY) })
    },
  }
}
