/** Shows events and receipts. Events become JSON text without parsing stored content. */
import type { Pieces } from '../../lib/json-answer.ts'
import type { Core } from '../core.ts'
import { type JsonObject, parseStored } from '../json.ts'
import type { ReceiptRow } from '../store/users.ts'
import { clientEventText, type EventRow, historyMark } from './events.ts'
import { invitePreview, type RoomView } from './room-history.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#definition-clientevent_unsigneddata */
export function showEvent(view: RoomView, row: EventRow): string {
  const { core, requester } = view
  const now = core.clock.now()
  const membership = view.membershipAt(row.position) ?? 'leave'
  const unsigned = [
    `"age":${now - row.origin_server_ts}`,
    `"membership":${JSON.stringify(membership)}`,
    ...historyMark(row),
  ]
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
  // Without a prototype: clients choose the ids of events.
  const content: Record<string, Record<string, JsonObject>> = Object.create(null)
  for (const { event_id: event, receipt_type: type, user_id: user, thread_id, ts } of rows) {
    content[event] ??= {}
    content[event][type] ??= {}
    content[event][type][user] = thread_id === UNTHREADED ? { ts } : { ts, thread_id }
  }
  return content
}
