/** Shows events and receipts. Events become JSON text without parsing stored content. */
import type { Pieces } from '../../lib/json-answer.ts'
import type { Core } from '../core.ts'
import { isObject, type JsonObject, parseStored } from '../json.ts'
import type { ReceiptRow } from '../store/receipts.ts'
import { clientEventText, type EventRow } from './events.ts'
import { invitePreview, type RoomView } from './room-history.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#definition-clientevent_unsigneddata */
export function showEvent(view: RoomView, row: EventRow): string {
  const { core, requester } = view
  const now = core.clock.now()
  const membership = view.membershipAt(row.stream_id) ?? 'leave'
  const unsigned = [`"age":${now - row.origin_server_ts}`, `"membership":${JSON.stringify(membership)}`]
  if (row.txn_id !== null && row.sender === requester.userId && row.txn_scope === requester.scope)
    unsigned.push(`"transaction_id":${JSON.stringify(row.txn_id)}`)
  if (row.state_key !== null) unsigned.push(...stateFields(core, row))
  const redaction = row.redacted_by === null ? undefined : core.events.at(row.redacted_by)
  if (redaction) {
    const age = `{"age":${now - redaction.origin_server_ts}}`
    unsigned.push(`"redacted_because":${clientEventText(redaction, age)}`)
  }
  return clientEventText(row, `{${unsigned.join(',')}}`)
}

/** Yields events one by one, since there may be very many. */
export async function* showEvents(
  view: RoomView,
  rows: AsyncIterable<EventRow> | Iterable<EventRow>,
): Pieces {
  for await (const row of rows) {
    yield showEvent(view, row)
    if (view.turn.isSpent) await view.turn.pause()
  }
}

/** Fields of `unsigned`: the replaced event of a state event, the room's state of an invite. */
export function stateFields(core: Core, row: EventRow): string[] {
  const fields: string[] = []
  const previous = row.replaces === null ? undefined : core.events.at(row.replaces)
  if (previous)
    fields.push(
      `"prev_content":${previous.content}`,
      `"prev_sender":${JSON.stringify(previous.sender)}`,
      `"replaces_state":"${previous.event_id}"`,
    )
  if (row.type === 'm.room.member' && parseStored(row.content).membership === 'invite')
    fields.push(`"invite_room_state":${invitePreview(core, row)}`)
  return fields
}

/** thread_id of a receipt for no particular thread. */
export const UNTHREADED = ''

/** @see https://spec.matrix.org/v1.12/client-server-api/#mreceipt */
export function receiptContent(rows: ReceiptRow[]): JsonObject {
  const content: JsonObject = {}
  for (const row of rows) {
    const ofEvent = child(content, row.event_id)
    const ofType = child(ofEvent, row.receipt_type)
    ofType[row.user_id] =
      row.thread_id === UNTHREADED ? { ts: row.ts } : { ts: row.ts, thread_id: row.thread_id }
  }
  return content
}

function child(parent: JsonObject, key: string): JsonObject {
  const existing = parent[key]
  if (isObject(existing)) return existing
  const made: JsonObject = {}
  parent[key] = made
  return made
}
