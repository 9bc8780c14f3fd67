/** Removes old rows in order, a few per step: keeps rows that stay, returns to rows that wait. */
import { TurnBudget } from './turn-budget.ts'

/** Result of one step. */
export interface ForgottenRows {
  /** Position to continue from; null when nothing more is old. */
  next: number | null
  removed: number
  /** Where a later walk starts: before the first row that waits; null when none waits. */
  again: number | null
}

/** Rows a step looks at. */
const ROWS = 200

export interface AgedRows<Row> {
  /** Reads the next rows after a position, in order. */
  read(after: number, limit: number): Row[]
  positionOf(row: Row): number
  isOld(row: Row): boolean
  /** Removes a row that is old, unless it stays for good or waits for somebody. */
  forget(row: Row): 'gone' | 'stays' | 'waits'
}

/**
 * Runs one step of a few milliseconds, in the caller's transaction.
 * @param after the position at which the last step ended
 */
export function forgetAged<Row>(rows: AgedRows<Row>, after: number): ForgottenRows {
  const turn = new TurnBudget()
  const found = rows.read(after, ROWS)
  const step: ForgottenRows = { next: null, removed: 0, again: null }
  // Checks the whole step: a sender may give a single event a time in the future.
  if (!found.some(rows.isOld)) return step
  let passed = after
  for (const row of found) {
    const fate = rows.isOld(row) ? rows.forget(row) : 'waits'
    if (fate === 'waits') step.again ??= passed
    if (fate === 'gone') step.removed++
    passed = rows.positionOf(row)
    step.next = passed
    if (turn.isSpent) return step
  }
  if (found.length < ROWS) step.next = null
  return step
}
