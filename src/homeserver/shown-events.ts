/** Events with the `unsigned` that this reader gets. */
import type { Requester } from './call.ts'
import type { Core } from './core.ts'
import { clientEvent, type EventRow } from './events.ts'
import { type JsonObject, parseStored } from './json.ts'
import { invitePreview, type RoomView } from './room-history.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#definition-clientevent_unsigneddata */
export function showEvents(
  core: Core,
  requester: Requester,
  view: RoomView,
  rows: readonly EventRow[],
): JsonObject[] {
  const now = core.clock.now()
  return rows.map(row => {
    const unsigned: JsonObject = { age: now - row.origin_server_ts }
    unsigned.membership = view.membershipAt(row.stream_id) ?? 'leave'
    if (row.txn_id !== null && row.sender === requester.userId && row.txn_scope === requester.scope)
      unsigned.transaction_id = row.txn_id
    if (row.state_key !== null) addState(core, row, unsigned)
    if (row.redacted_by !== null) {
      const redaction = core.events.at(row.redacted_by)
      if (redaction)
        unsigned.redacted_because = clientEvent(redaction, { age: now - redaction.origin_server_ts })
    }
    return clientEvent(row, unsigned)
  })
}

/** What a state event says about the one that it replaced, and an invite about its room. */
function addState(core: Core, row: EventRow, unsigned: JsonObject): void {
  const previous = row.replaces === null ? undefined : core.events.at(row.replaces)
  if (previous) {
    unsigned.prev_content = parseStored(previous.content)
    unsigned.prev_sender = previous.sender
    unsigned.replaces_state = previous.event_id
  }
  if (row.type === 'm.room.member' && parseStored(row.content).membership === 'invite')
    unsigned.invite_room_state = invitePreview(core, row)
}
