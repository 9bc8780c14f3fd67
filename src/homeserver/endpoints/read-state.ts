/** Reading a room's state and members. */
import { type Call, param } from '../call.ts'
import { notFound } from '../errors.ts'
import { clientEvent, type EventRow } from '../events.ts'
import { type JsonObject, parseStored } from '../json.ts'
import { type RoomView, stateAt, stateEventAt, viewRoom } from '../room-history.ts'
import { showEvents } from '../shown-events.ts'

function view(call: Call): RoomView {
  return viewRoom(call.core, param(call, 'roomId'), call.requester.userId)
}

function visibleState(call: Call): { view: RoomView; rows: EventRow[] } {
  const roomView = view(call)
  const upTo = roomView.readableUpTo()
  const { num } = roomView.room
  return {
    view: roomView,
    rows: upTo === Number.MAX_SAFE_INTEGER ? call.core.events.state(num) : stateAt(call.core, num, upTo),
  }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidstate */
export function getState(call: Call): JsonObject[] {
  const { view: roomView, rows } = visibleState(call)
  return showEvents(call.core, call.requester, roomView, rows)
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey */
export function getStateEvent(call: Call): JsonObject {
  const roomView = view(call)
  const { core, requester } = call
  const upTo = roomView.readableUpTo()
  const row = stateEventAt(
    core,
    roomView.room.num,
    param(call, 'eventType'),
    call.params.stateKey ?? '',
    upTo,
  )
  if (!row) throw notFound('No such state')
  if (call.query.get('format') !== 'event') return parseStored(row.content)
  return showEvents(core, requester, roomView, [row])[0] ?? {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidmembers */
export function getMembers(call: Call): JsonObject {
  const wanted = call.query.get('membership')
  const unwanted = call.query.get('not_membership')
  const { rows } = visibleState(call)
  const chunk = rows
    .filter(row => row.type === 'm.room.member')
    .map(row => clientEvent(row, { age: call.core.clock.now() - row.origin_server_ts }))
    .filter(event => {
      const { membership } = event.content as JsonObject
      return (wanted === null || membership === wanted) && (unwanted === null || membership !== unwanted)
    })
  return { chunk }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidjoined_members */
export function getJoinedMembers(call: Call): JsonObject {
  const roomView = view(call)
  roomView.readableUpTo()
  const joined: JsonObject = {}
  for (const row of call.core.events.stateOfType(roomView.room.num, 'm.room.member')) {
    const content = parseStored(row.content)
    if (content.membership !== 'join' || row.state_key === null) continue
    const profile: JsonObject = {}
    if (typeof content.displayname === 'string') profile.display_name = content.displayname
    if (typeof content.avatar_url === 'string') profile.avatar_url = content.avatar_url
    joined[row.state_key] = profile
  }
  return { joined }
}
