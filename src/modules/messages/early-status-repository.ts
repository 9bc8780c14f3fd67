/** SQL of what is said of events that we don't know yet: the homeserver can be faster than our own commit. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type EarlyStatus, earlyStatuses } from '../../db/schema/index.ts'
import { climbs, rung } from './ladder.ts'

/** Its functions are to be called inside a transaction. */
export interface EarlyStatuses {
  keep(early: Omit<EarlyStatus, 'receivedAt'>, now: number): void
  /**
   * Takes what was said of an event that is known now. What anybody but the bot says is none of it; a row without a sender is a receipt.
   * @returns what counts of it, null when there is nothing
   */
  take(eventId: string, bridgeBot: string | null): Pick<EarlyStatus, 'status' | 'reason'> | null
}

export function createEarlyStatuses({ orm }: Pick<Db, 'orm'>): EarlyStatuses {
  const param = sql.placeholder
  const insert = orm
    .insert(earlyStatuses)
    .values({
      eventId: param('eventId'),
      sender: param('sender'),
      status: param('status'),
      reason: param('reason'),
      receivedAt: param('now'),
    })
    .onConflictDoNothing()
    .prepare()
  const ofEvent = orm
    .select()
    .from(earlyStatuses)
    .where(eq(earlyStatuses.eventId, param('eventId')))
    .prepare()
  const drop = orm
    .delete(earlyStatuses)
    .where(eq(earlyStatuses.eventId, param('eventId')))
    .prepare()

  return {
    keep: (early, now) => void insert.run({ ...early, now }),

    take(eventId, bridgeBot) {
      const early = ofEvent.all({ eventId })
      if (early.length === 0) return null
      drop.run({ eventId })
      return early
        .filter(({ sender }) => sender === '' || sender === bridgeBot)
        .sort((one, other) => rung(one.status) - rung(other.status))
        .reduce<Pick<EarlyStatus, 'status' | 'reason'> | null>(
          (latest, next) =>
            latest && latest.status !== 'queued' && !climbs(latest.status, next.status) ? latest : next,
          null,
        )
    },
  }
}
