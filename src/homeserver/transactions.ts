/** What a transaction to an appservice holds. @see https://spec.matrix.org/v1.12/application-service-api/#put_matrixappv1transactionstxnid */
import type { Appservice } from './appservices.ts'
import type { Core } from './core.ts'
import { clientEventText, type EventRow } from './events.ts'
import type { JsonObject } from './json.ts'
import { receiptContent } from './receipts.ts'
import { invitePreview } from './room-history.ts'
import type { InterestingRow } from './store/events.ts'

const MAX_EVENTS = 250
const MAX_BYTES = 1024 * 1024

export interface Batch {
  /** Position that is acknowledged with it. */
  to: number
  typingTo: number
  body: string
  empty: boolean
}

/** The next transaction: what interests the appservice of `from` < position <= `end`, as much as one may hold. */
export function buildTransaction(
  core: Core,
  appservice: Appservice,
  from: number,
  end: number,
  typingFrom: number,
): Batch {
  const rows = from < end ? core.events.stream(from, end, MAX_EVENTS) : []
  const now = core.clock.now()
  const events: string[] = []
  let bytes = 0
  let to = rows.length < MAX_EVENTS ? end : from
  for (const [index, row] of rows.entries()) {
    if (includes(row, appservice.num)) {
      const text = clientEventText(row, unsignedText(core, row, now))
      bytes += text.length
      if (bytes > MAX_BYTES && events.length > 0) {
        to = rows[index - 1]?.stream_id ?? from
        break
      }
      events.push(text)
    }
    if (rows.length === MAX_EVENTS) to = row.stream_id
  }
  const typingTo = core.typing.position
  const ephemeral = appservice.receiveEphemeral
    ? [...receipts(core, appservice, from, to), ...typing(core, appservice, typingFrom)]
    : []
  const shown = ephemeral.length === 0 ? '' : JSON.stringify(ephemeral)
  const extra = shown === '' ? '' : `,"ephemeral":${shown},"de.sorunome.msc2409.ephemeral":${shown}`
  return {
    to,
    typingTo,
    body: `{"events":[${events.join(',')}]${extra}}`,
    empty: events.length === 0 && ephemeral.length === 0,
  }
}

function includes(row: InterestingRow, num: number): boolean {
  if (row.interest === null) return false
  const text = String(num)
  return row.interest === text || row.interest.split(',').includes(text)
}

function unsignedText(core: Core, row: EventRow, now: number): string {
  const age = now - row.origin_server_ts
  if (row.state_key === null && row.redacted_by === null) return `{"age":${age}}`
  const unsigned: JsonObject = { age }
  if (row.replaces !== null) {
    const previous = core.events.at(row.replaces)
    if (previous) {
      unsigned.prev_content = JSON.parse(previous.content)
      unsigned.prev_sender = previous.sender
      unsigned.replaces_state = previous.event_id
    }
  }
  if (row.type === 'm.room.member' && row.state_key !== null) {
    const content = JSON.parse(row.content) as JsonObject
    if (content.membership === 'invite') unsigned.invite_room_state = invitePreview(core, row)
  }
  return JSON.stringify(unsigned)
}

function receipts(core: Core, appservice: Appservice, from: number, to: number): JsonObject[] {
  const ofRoom = new Map<string, Parameters<typeof receiptContent>[0]>()
  for (const row of core.receipts.stream(from, to, MAX_EVENTS * 4)) {
    if (row.receipt_type === 'm.read.private' && !appservice.namespaces.hasUser(row.user_id)) continue
    if (!hasInterest(core, appservice, row.room_id)) continue
    const rows = ofRoom.get(row.room_id) ?? []
    rows.push(row)
    ofRoom.set(row.room_id, rows)
  }
  return [...ofRoom].map(([roomId, rows]) => ({
    type: 'm.receipt',
    room_id: roomId,
    content: receiptContent(rows),
  }))
}

function typing(core: Core, appservice: Appservice, since: number): JsonObject[] {
  return core.typing
    .changedRooms(since)
    .filter(roomId => hasInterest(core, appservice, roomId))
    .map(roomId => ({
      type: 'm.typing',
      room_id: roomId,
      content: { user_ids: core.typing.users(roomId) },
    }))
}

function hasInterest(core: Core, appservice: Appservice, roomId: string): boolean {
  const nums = core.rooms.read(roomId)?.interest?.split(',')
  return nums?.includes(String(appservice.num)) ?? false
}
