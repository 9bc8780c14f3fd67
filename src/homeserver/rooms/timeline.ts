/** Walks a room's timeline and yields what the reader may see and asked for. */
import type { TurnBudget } from '../../lib/turn-budget.ts'
import type { Call } from '../call.ts'
import { invalidParam } from '../errors.ts'
import { MAX_PAGE_CHARACTERS } from '../limits.ts'
import { allowsEvent, type RoomEventFilter } from '../sync/filter.ts'
import type { EventRow } from './events.ts'
import type { RoomView } from './room-history.ts'

const CHUNK = 100
/** Most events one request examines, however few match. */
const MAX_SCANNED = 10_000

export interface Page {
  rows: EventRow[]
  /** Start of the next page; undefined when there is none. */
  next: number | undefined
}

/** Selects events in (`from`, `to`]: the newest, newest first, or forwards the oldest first. */
export interface PageWish {
  backwards: boolean
  from: number
  to: number
  limit: number
}

/** A page of the room's timeline, as far as the reader sees it and `filter` allows. */
export function timelinePage(
  view: RoomView,
  wish: PageWish & { filter?: RoomEventFilter | undefined },
): Promise<Page> {
  const { backwards, filter, limit } = wish
  const { before, after } = view.core.events
  const read = backwards ? before : after
  return readPage(
    {
      read: (from, to, size) => read(view.room.num, from, to, size),
      isWanted: row => view.sees(row) && allowsEvent(filter, row),
      // One row more than it shows tells whether there is more.
      size: filter === undefined ? Math.min(CHUNK, limit + 1) : CHUNK,
    },
    view.turn,
    wish,
  )
}

interface PageSource<Row> {
  read(from: number, to: number, size: number): Row[]
  isWanted(row: Row): boolean
  size?: number
}

/** A page of at most `limit` rows, and hardly more characters than MAX_PAGE_CHARACTERS. */
export async function readPage<Row extends EventRow>(
  { read, isWanted, size = CHUNK }: PageSource<Row>,
  turn: TurnBudget,
  { backwards, from, to, limit }: PageWish,
): Promise<Page> {
  const rows: Row[] = []
  let characters = 0
  let [low, high] = [from, to]
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += size) {
    const chunk = read(low, high, size)
    for (const row of chunk) {
      if (isWanted(row)) {
        const isFull = rows.length > 0 && characters + row.content.length > MAX_PAGE_CHARACTERS
        if (isFull || rows.length >= limit) return { rows, next: backwards ? row.position : low }
        rows.push(row)
        characters += row.content.length
      }
      if (backwards) high = row.position - 1
      else low = row.position
      if (turn.isSpent) await turn.pause()
    }
    if (chunk.length < size) return { rows, next: undefined }
  }
  return { rows, next: backwards ? high : low }
}

/** The position before all events of a room, history included. */
export const BEGINNING = -999_999_999_999_999

/** A position in the stream, and one among typing changes, which aren't stored. */
export interface StreamToken {
  position: number
  typing: number
}

/** Parses a pagination or sync token: the place after the event at that position. */
export function parseToken(token: string): StreamToken | undefined {
  const match = /^[st](-?\d{1,15})(?:_(\d{1,15}))?$/.exec(token)
  return match ? { position: Number(match[1]), typing: Number(match[2] ?? 0) } : undefined
}

export function positionToken(position: number): string {
  return `t${position}`
}

/** The position that a query names. @throws M_INVALID_PARAM */
export function positionQuery({ query }: Call, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const token = parseToken(text)
  if (!token) throw invalidParam(`${name} is not a token of this server`)
  return token.position
}
