/** Reads a room's state and members. */

import { enclosed, jsonText, type Pieces } from '../../lib/json-answer.ts'
import { type Call, param } from '../call.ts'
import { notFound } from '../errors.ts'
import { parseStored } from '../json.ts'
import { clientEventText, type EventRow } from '../rooms/events.ts'
import { type RoomView, stateOf, viewRoom } from '../rooms/room-history.ts'
import { showEvent } from '../rooms/shown-events.ts'

/** Yields `show` of each state event the user may read, omitting undefined results. */
async function* shown(
  view: RoomView,
  show: (row: EventRow) => string | undefined,
  ofType?: { type: string },
): Pieces {
  const { turn } = view
  for await (const row of stateOf(view, { position: view.readableUpTo(), ...ofType })) {
    const text = show(row)
    if (text !== undefined) yield text
    if (turn.isSpent) await turn.pause()
  }
}

const MEMBERS = { type: 'm.room.member' }

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidstate */
export function getState(call: Call): Pieces {
  const roomView = viewRoom(call)
  const showAll = (row: EventRow) => showEvent(roomView, row)
  return enclosed('[', shown(roomView, showAll), ']')
}

/** @see Matrix v1.12, GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} */
export function getStateEvent(call: Call): Response {
  const roomView = viewRoom(call)
  const { core, params } = call
  const type = param(call, 'eventType')
  const row = core.events.stateAt(roomView.room.num, type, params.stateKey ?? '', roomView.readableUpTo())
  if (!row) throw notFound('No such state')
  return jsonText(call.query.get('format') === 'event' ? showEvent(roomView, row) : row.content)
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidmembers */
export function getMembers(call: Call): Pieces {
  const wanted = call.query.get('membership')
  const unwanted = call.query.get('not_membership')
  const isWanted = (row: EventRow) => {
    if (wanted === null && unwanted === null) return true
    const { membership } = parseStored(row.content)
    return (wanted === null || membership === wanted) && (unwanted === null || membership !== unwanted)
  }
  const now = call.core.clock.now()
  const show = (row: EventRow) =>
    isWanted(row) ? clientEventText(row, `{"age":${now - row.origin_server_ts}}`) : undefined
  return enclosed('{"chunk":[', shown(viewRoom(call), show, MEMBERS), ']}')
}

/** @see Matrix v1.12, GET /_matrix/client/v3/rooms/{roomId}/joined_members */
export function getJoinedMembers(call: Call): Pieces {
  return enclosed('{"joined":{', shown(viewRoom(call), joinedMember, MEMBERS), '}}')
}

function joinedMember(row: EventRow): string | undefined {
  const content = parseStored(row.content)
  if (content.membership !== 'join' || row.state_key === null) return undefined
  const profile: Record<string, string> = {}
  if (typeof content.displayname === 'string') profile.display_name = content.displayname
  if (typeof content.avatar_url === 'string') profile.avatar_url = content.avatar_url
  return `${JSON.stringify(row.state_key)}:${JSON.stringify(profile)}`
}
