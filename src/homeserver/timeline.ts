/** Walks a room's timeline and yields what the reader may see and asked for. */
import type { TurnBudget } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'
import type { EventRow } from './events.ts'
import { allowsEvent, type RoomEventFilter } from './filter.ts'
import { MAX_PAGE_CHARACTERS } from './limits.ts'
import type { RoomView } from './room-history.ts'

const CHUNK = 100
/** Most events one request examines, however few match. */
const MAX_SCANNED = 10_000

export interface Page {
  rows: EventRow[]
  /** Start of the next page; undefined when there is none. */
  next: number | undefined
}

export interface PageWish {
  from: number
  to: number
  limit: number
  filter?: RoomEventFilter | undefined
}

/**
 * The newest matching events in (`from`, `to`], newest first: at most `limit`, and hardly more
 * characters than MAX_PAGE_CHARACTERS.
 */
export async function pageBackwards(
  core: Core,
  view: RoomView,
  turn: TurnBudget,
  { from, to, limit, filter }: PageWish,
): Promise<Page> {
  const page = new PageRows(limit)
  const size = chunkSize(limit, filter)
  let end = to
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += size) {
    const chunk = core.events.before(view.room.num, from, end, size)
    for (const row of chunk) {
      if (view.sees(row) && allowsEvent(filter, row) && !page.take(row))
        return { rows: page.rows, next: row.stream_id }
      end = row.stream_id - 1
      if (turn.isSpent) await turn.pause()
    }
    if (chunk.length < size) return { rows: page.rows, next: undefined }
  }
  return { rows: page.rows, next: end }
}

/** The oldest matching events in (`from`, `to`], oldest first, limited as `pageBackwards`. */
export async function pageForwards(
  core: Core,
  view: RoomView,
  turn: TurnBudget,
  { from, to, limit, filter }: PageWish,
): Promise<Page> {
  const page = new PageRows(limit)
  const size = chunkSize(limit, filter)
  let start = from
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += size) {
    const chunk = core.events.after(view.room.num, start, to, size)
    for (const row of chunk) {
      if (view.sees(row) && allowsEvent(filter, row) && !page.take(row))
        return { rows: page.rows, next: start }
      start = row.stream_id
      if (turn.isSpent) await turn.pause()
    }
    if (chunk.length < size) return { rows: page.rows, next: undefined }
  }
  return { rows: page.rows, next: start }
}

/** Rows of one page, limited in number and size. */
export class PageRows<Row extends EventRow = EventRow> {
  readonly rows: Row[] = []
  private characters = 0

  constructor(private readonly limit: number) {}

  /** @returns false when the row belongs to the next page */
  take(row: Row): boolean {
    const isFull =
      this.rows.length >= this.limit ||
      (this.rows.length > 0 && this.characters + row.content.length > MAX_PAGE_CHARACTERS)
    if (isFull) return false
    this.rows.push(row)
    this.characters += row.content.length
    return true
  }
}

/** Reads one row more than it shows, to know whether there is more. */
function chunkSize(limit: number, filter: RoomEventFilter | undefined): number {
  return filter === undefined ? Math.min(CHUNK, limit + 1) : CHUNK
}

/** Parses a pagination or sync token: the position after the event with that number. */
export function parsePosition(token: string): number | undefined {
  const match = /^[st](\d{1,15})(?:_\d+)?$/.exec(token)
  return match ? Number(match[1]) : undefined
}

export function positionToken(position: number): string {
  return `t${position}`
}
