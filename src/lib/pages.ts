/** Reads many rows a page at a time, letting other work in between. */
import type { TurnBudget } from './turn-budget.ts'

export interface Paging<Row, Place> {
  /** Rows after a place, at most `limit`. */
  read(after: Place, limit: number): Row[]
  placeOf(row: Row): Place
  /** The place before the first row. */
  start: Place
  size: number
}

export async function* pagesOf<Row, Place>(
  { read, placeOf, start, size }: Paging<Row, Place>,
  turn: TurnBudget,
): AsyncGenerator<Row[], void> {
  for (let after = start; ; ) {
    const page = read(after, size)
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < size) return
    after = placeOf(last)
    await turn.pause()
  }
}
