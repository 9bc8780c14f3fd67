/**
 * Forgets old events, some at a time. State stays, as rooms are made of it, and so does what an appservice hasn't acknowledged, however
 * old. What is gone is missing from a room's history and nothing else: receipts, redactions and relations may name it as before.
 */
import { TurnBudget } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'
import { timeOfEventId } from './identifiers.ts'
import type { AgedRow } from './store/events.ts'

/** What one step has done. */
export interface ForgottenEvents {
  /** Where the next step goes on; null: there is nothing more that is old. */
  next: number | null
  removed: number
}

/** Events that a step looks at. */
const ROWS = 200

/**
 * One step, in a transaction of its own.
 * @param after the position where the step before ended
 * @param before in milliseconds since 1970: events from before then may go
 */
export function forgetEvents(core: Core, after: number, before: number): Promise<ForgottenEvents> {
  return core.commit(tx => {
    const turn = new TurnBudget()
    const rows = core.events.aged(after, ROWS)
    const step: ForgottenEvents = { next: null, removed: 0 }
    // A whole step of young ones, and not just one, as a sender may give an event a time to come.
    if (rows.every(row => agedAt(row) >= before)) return step
    const acknowledged = new Map(core.appserviceRows.all().map(({ num, position }) => [num, position]))
    tx.wrote = true
    // The newest of all events may go, and its number must not come again.
    core.keepCounter(core.stream.position)
    for (const row of rows) {
      step.next = row.stream_id
      if (row.is_state === 0 && agedAt(row) < before && isTold(row, acknowledged)) {
        core.events.remove(row.stream_id)
        step.removed++
      }
      if (turn.isSpent) return step
    }
    if (rows.length < ROWS) step.next = null
    return step
  })
}

/** When the event was taken: an appservice may have given it an earlier time. */
function agedAt({ event_id: eventId, origin_server_ts: told }: AgedRow): number {
  return Math.max(told, timeOfEventId(eventId) ?? 0)
}

function isTold(
  { stream_id: streamId, interest }: AgedRow,
  acknowledged: ReadonlyMap<number, number>,
): boolean {
  const nums = interest === null ? [] : interest.split(',').map(Number)
  return nums.every(num => (acknowledged.get(num) ?? Number.POSITIVE_INFINITY) >= streamId)
}
