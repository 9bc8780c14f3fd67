/** Walking a room's timeline, showing only what the reader may see and asked for. */
import type { Core } from './core.ts'
import type { EventRow } from './events.ts'
import { allowsEvent, type RoomEventFilter } from './filter.ts'
import type { RoomView } from './room-history.ts'

const CHUNK = 100
/** Events that a single request looks at, however few of them match. */
const MAX_SCANNED = 10_000

export interface Page {
  rows: EventRow[]
  /** Where the next page begins; undefined when there is nothing more. */
  next: number | undefined
}

/** The newest matching events of `from` < position <= `to`, newest first. */
export function pageBackwards(
  core: Core,
  view: RoomView,
  filter: RoomEventFilter | undefined,
  { from, to, limit }: { from: number; to: number; limit: number },
): Page {
  const rows: EventRow[] = []
  let end = to
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += CHUNK) {
    const chunk = core.events.before(view.room.num, from, end, CHUNK)
    for (const row of chunk) {
      if (!view.sees(row) || !allowsEvent(filter, row)) {
        end = row.stream_id - 1
        continue
      }
      if (rows.length === limit) return { rows, next: row.stream_id }
      rows.push(row)
      end = row.stream_id - 1
    }
    if (chunk.length < CHUNK) return { rows, next: undefined }
  }
  return { rows, next: end }
}

/** The oldest matching events of `from` < position <= `to`, oldest first. */
export function pageForwards(
  core: Core,
  view: RoomView,
  filter: RoomEventFilter | undefined,
  { from, to, limit }: { from: number; to: number; limit: number },
): Page {
  const rows: EventRow[] = []
  let start = from
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += CHUNK) {
    const chunk = core.events.after(view.room.num, start, to, CHUNK)
    for (const row of chunk) {
      if (view.sees(row) && allowsEvent(filter, row)) {
        if (rows.length === limit) return { rows, next: start }
        rows.push(row)
      }
      start = row.stream_id
    }
    if (chunk.length < CHUNK) return { rows, next: undefined }
  }
  return { rows, next: start }
}

/** A token of pagination or sync as a position: the place after the event with that number. */
export function parsePosition(token: string): number | undefined {
  const match = /^[st](\d{1,15})(?:_\d+)?$/.exec(token)
  return match ? Number(match[1]) : undefined
}

export function positionToken(position: number): string {
  return `t${position}`
}
