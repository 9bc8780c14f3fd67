/** SQL of what is said of events that we don't know yet: the homeserver can be faster than our own commit. */
import { eq, sql } from 'drizzle-orm'
import { type EarlyStatus, earlyStatuses } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { climbs, rung } from './ladder.ts'

const param = sql.placeholder
const insert = statement(orm =>
  orm
    .insert(earlyStatuses)
    .values({
      eventId: param('eventId'),
      sender: param('sender'),
      status: param('status'),
      reason: param('reason'),
      receivedAt: param('now'),
    })
    .onConflictDoNothing(),
)
const ofEvent = statement(orm =>
  orm
    .select()
    .from(earlyStatuses)
    .where(eq(earlyStatuses.eventId, param('eventId'))),
)
const drop = statement(orm => orm.delete(earlyStatuses).where(eq(earlyStatuses.eventId, param('eventId'))))

export function keepEarlyStatus(tx: Tx, early: Omit<EarlyStatus, 'receivedAt'>, now: number): Promise<void> {
  return tx.run(insert, { ...early, now })
}

/**
 * Takes the reports of an event that is known now. Only the bot's count, and receipts, whose rows
 * have no sender.
 * @returns the report that counts, null when there is none
 */
export async function takeEarlyStatus(
  tx: Tx,
  eventId: string,
  bridgeBot: string | null,
): Promise<Pick<EarlyStatus, 'status' | 'reason'> | null> {
  const early = await tx.all(ofEvent, { eventId })
  if (early.length === 0) return null
  await tx.run(drop, { eventId })
  return early
    .filter(({ sender }) => sender === '' || sender === bridgeBot)
    .sort((one, other) => rung(one.status) - rung(other.status))
    .reduce<Pick<EarlyStatus, 'status' | 'reason'> | null>(
      (latest, next) =>
        latest && latest.status !== 'queued' && !climbs(latest.status, next.status) ? latest : next,
      null,
    )
}
