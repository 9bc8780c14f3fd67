/**
 * Removes old rows in the order in which they came, some at a time. What stays for good is passed,
 * what may go later is found again.
 */
import { TurnBudget } from './turn-budget.ts'

/** Result of one step. */
export interface ForgottenRows {
  /** Where the next step goes on; null: there is nothing more that is old. */
  next: number | null
  removed: number
  /**
   * Where a later walk must begin: before the first row that may go some day; null: none passed.
   */
  again: number | null
}

/** Rows that a step looks at. */
const ROWS = 200

export interface AgedRows<Row> {
  /** The next rows after a position, in its order. */
  read(after: number, limit: number): Row[]
  positionOf(row: Row): number
  isOld(row: Row): boolean
  /** Removes a row that is old, unless it stays for good or waits for somebody. */
  forget(row: Row): 'gone' | 'stays' | 'waits'
}

/**
 * One step of a few milliseconds; it writes with the transaction of its caller, which has the rows.
 * @param after where the step before ended
 */
export function forgetAged<Row>(rows: AgedRows<Row>, after: number): ForgottenRows {
  const turn = new TurnBudget()
  const found = rows.read(after, ROWS)
  const step: ForgottenRows = { next: null, removed: 0, again: null }
  // A whole step of young ones, and not just one, as a sender may give an event a time to come.
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
