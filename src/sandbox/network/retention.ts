/**
 * Forgets old messages of the network, some at a time. Messages that wait for their room stay,
 * however old.
 */
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { NetworkStore } from './store.ts'

/** Result of one step. */
export interface ForgottenMessages {
  /** Where the next step goes on; null: there is nothing more that is old. */
  next: number | null
  removed: number
}

const ROWS = 200

/**
 * One step; writes with its caller's transaction, as `Sandbox.forget` calls it.
 * @param before in milliseconds since 1970: messages sent before then may go
 */
export function forgetMessages(store: NetworkStore, after: number, before: number): ForgottenMessages {
  const turn = new TurnBudget()
  const rows = store.aged(after, ROWS)
  const step: ForgottenMessages = { next: null, removed: 0 }
  if (rows.every(row => row.sent_at >= before)) return step
  for (const row of rows) {
    step.next = row.seq
    if (row.sent_at < before && store.forgetMessage(row)) step.removed++
    if (turn.isSpent) return step
  }
  if (rows.length < ROWS) step.next = null
  return step
}
