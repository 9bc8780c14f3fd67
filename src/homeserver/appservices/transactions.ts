/** Builds transactions (Matrix v1.12, PUT /_matrix/app/v1/transactions/{txnId}). */
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { Core } from '../core.ts'
import type { JsonObject } from '../json.ts'
import { clientEventText, type EventRow, historyMark } from '../rooms/events.ts'
import { receiptContent, stateFields } from '../rooms/shown-events.ts'
import type { ReceiptRow } from '../store/users.ts'
import type { Appservice } from './appservices.ts'

const MAX_EVENTS = 250
const MAX_RECEIPTS = 1_000
const MAX_CHARACTERS = 1024 * 1024
/** Events read at a time, and most events scanned for one transaction. */
const PAGE = 500
const MAX_SCANNED = 10_000

export interface Batch {
  /** Position acknowledged with the transaction. */
  to: number
  typingTo: number
  body: string
  events: number
  empty: boolean
}

interface Range {
  from: number
  end: number
  /** Includes typing changes after this one. */
  typingFrom: number
  maxEvents?: number
}

/** Builds the next transaction: the appservice's events in (`from`, `end`], as many as fit. */
export async function buildTransaction(core: Core, appservice: Appservice, range: Range): Promise<Batch> {
  const turn = new TurnBudget()
  const typingTo = core.typing.position
  const found = await interesting(core, appservice.num, range, turn)
  let { to } = found
  const ephemeral: JsonObject[] = []
  if (appservice.receiveEphemeral) {
    const rows = core.users.receipts(range.from, to, MAX_RECEIPTS)
    // If there are more receipts than fit, the transaction ends at the last of these.
    if (rows.length === MAX_RECEIPTS) to = rows.at(-1)?.stream_id ?? to
    ephemeral.push(...(await receipts(core, appservice, rows, turn)))
    ephemeral.push(...(await typing(core, appservice, range.typingFrom, turn)))
  }
  const events = found.events.filter(event => event.streamId <= to).map(event => event.text)
  const shown = ephemeral.length === 0 ? '' : JSON.stringify(ephemeral)
  const extra = shown === '' ? '' : `,"ephemeral":${shown},"de.sorunome.msc2409.ephemeral":${shown}`
  return {
    to,
    typingTo,
    body: `{"events":[${events.join(',')}]${extra}}`,
    events: events.length,
    empty: events.length === 0 && ephemeral.length === 0,
  }
}

interface Found {
  events: { streamId: number; text: string }[]
  /** Everything up to here was examined. */
  to: number
}

async function interesting(core: Core, num: number, range: Range, turn: TurnBudget): Promise<Found> {
  const { from, end, maxEvents = MAX_EVENTS } = range
  const found: Found = { events: [], to: from }
  const now = core.clock.now()
  let characters = 0
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += PAGE) {
    const page = core.events.stream(found.to, end, PAGE)
    for (const { stream_id: streamId, interest } of page) {
      const row = includes(interest, num) ? core.events.at(streamId) : undefined
      if (row) {
        const text = clientEventText(row, unsignedText(core, row, now))
        characters += text.length
        if (characters > MAX_CHARACTERS && found.events.length > 0) return found
        found.events.push({ streamId, text })
      }
      found.to = streamId
      if (found.events.length === maxEvents) return found
      if (turn.isSpent) await turn.pause()
    }
    if (page.length < PAGE) return { ...found, to: Math.max(found.to, end) }
  }
  return found
}

function includes(interest: string | null, num: number): boolean {
  if (interest === null) return false
  const text = String(num)
  return interest === text || interest.split(',').includes(text)
}

function unsignedText(core: Core, row: EventRow, now: number): string {
  const fields = [`"age":${now - row.origin_server_ts}`, ...historyMark(row)]
  if (row.state_key !== null) fields.push(...stateFields(core, row))
  return `{${fields.join(',')}}`
}

async function receipts(
  core: Core,
  appservice: Appservice,
  rows: readonly ReceiptRow[],
  turn: TurnBudget,
): Promise<JsonObject[]> {
  const ofRoom = new Map<string, ReceiptRow[]>()
  for (const row of rows) {
    if (row.receipt_type === 'm.read.private' && !appservice.namespaces.has('users', row.user_id)) continue
    const known = ofRoom.get(row.room_id)
    if (known) known.push(row)
    else if (await hasInterest(core, appservice, row.room_id)) ofRoom.set(row.room_id, [row])
    if (turn.isSpent) await turn.pause()
  }
  return [...ofRoom].map(([roomId, ofThis]) => ({
    type: 'm.receipt',
    room_id: roomId,
    content: receiptContent(ofThis),
  }))
}

async function typing(
  core: Core,
  appservice: Appservice,
  since: number,
  turn: TurnBudget,
): Promise<JsonObject[]> {
  const events: JsonObject[] = []
  for (const roomId of core.typing.changedRooms(since)) {
    if (await hasInterest(core, appservice, roomId))
      events.push({ type: 'm.typing', room_id: roomId, content: { user_ids: core.typing.users(roomId) } })
    if (turn.isSpent) await turn.pause()
  }
  return events
}

async function hasInterest(core: Core, appservice: Appservice, roomId: string): Promise<boolean> {
  await core.rooms.prepare(roomId)
  const nums = core.rooms.read(roomId)?.interest?.split(',')
  return nums?.includes(String(appservice.num)) ?? false
}
