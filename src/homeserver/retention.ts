/**
 * Forgets old events, some at a time. State stays, because rooms consist of it, and so do events an
 * appservice hasn't acknowledged. A removed event is only missing from the history: receipts,
 * redactions and relations may still name it.
 */
import { type ForgottenRows, forgetAged } from '../lib/aged-rows.ts'
import type { Core } from './core.ts'
import { timeOfEventId } from './identifiers.ts'
import type { AgedRow } from './store/events.ts'

/**
 * Runs one step in its own transaction.
 * @param after the position at which the last step ended
 * @param before in milliseconds since 1970; older events may go
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
          // The newest event may go, but its number must not be reused.
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

/** When the server took the event: an appservice may have given it an earlier time. */
export function agedAt({ event_id: eventId, origin_server_ts: told }: AgedRow): number {
  return Math.max(told, timeOfEventId(eventId) ?? 0)
}

/** @returns a test whether all appservices interested in an event have acknowledged it */
export function toldEvents(core: Core): (row: AgedRow) => boolean {
  const acknowledged = new Map(core.appserviceRows.all().map(({ num, position }) => [num, position]))
  return ({ stream_id: streamId, interest }) => {
    const nums = interest === null ? [] : interest.split(',').map(Number)
    return nums.every(num => (acknowledged.get(num) ?? Number.POSITIVE_INFINITY) >= streamId)
  }
}
