/**
 * Forgets old events, some at a time. State stays, as rooms are made of it, and so does what an
 * appservice hasn't acknowledged, however old. What is gone is missing from a room's history and
 * nothing else: receipts, redactions and relations may name it as before.
 */
import { type ForgottenRows, forgetAged } from '../lib/aged-rows.ts'
import type { Core } from './core.ts'
import { timeOfEventId } from './identifiers.ts'
import type { AgedRow } from './store/events.ts'

/**
 * One step, in a transaction of its own.
 * @param after the position where the step before ended
 * @param before in milliseconds since 1970: events from before then may go
 */
export function forgetEvents(core: Core, after: number, before: number): Promise<ForgottenRows> {
  return core.commit(tx => {
    const isTold = toldEvents(core)
    return forgetAged<AgedRow>(
      {
        read: core.events.aged,
        positionOf: row => row.stream_id,
        isOld: row => agedAt(row) < before,
        forget(row) {
          if (row.is_state === 1) return 'stays'
          if (!isTold(row)) return 'waits'
          // The newest of all events may go, and its number must not come again.
          if (!tx.wrote) core.keepCounter(core.stream.position)
          tx.wrote = true
          core.events.remove(row.stream_id)
          return 'gone'
        },
      },
      after,
    )
  })
}

/** When the event was taken: an appservice may have given it an earlier time. */
export function agedAt({ event_id: eventId, origin_server_ts: told }: AgedRow): number {
  return Math.max(told, timeOfEventId(eventId) ?? 0)
}

/** @returns tells whether all appservices that an event interests have acknowledged it by now */
export function toldEvents(core: Core): (row: AgedRow) => boolean {
  const acknowledged = new Map(core.appserviceRows.all().map(({ num, position }) => [num, position]))
  return ({ stream_id: streamId, interest }) => {
    const nums = interest === null ? [] : interest.split(',').map(Number)
    return nums.every(num => (acknowledged.get(num) ?? Number.POSITIVE_INFINITY) >= streamId)
  }
}
