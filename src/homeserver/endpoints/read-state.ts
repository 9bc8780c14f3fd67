/** Reads a room's state and members. */

import { enclosed, jsonText, type Pieces, streamed } from '../../lib/json-answer.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { type Call, param } from '../call.ts'
import { notFound } from '../errors.ts'
import { parseStored } from '../json.ts'
import { clientEventText, type EventRow } from '../rooms/events.ts'
import { type RoomView, stateOf, viewRoom } from '../rooms/room-history.ts'
import { showEvent } from '../rooms/shown-events.ts'

/** Answers with `show` of each state event the user may read, omitting undefined results. */
async function answerOf(
  { core }: Call,
  roomView: RoomView,
  [head, tail]: readonly [head: string, tail: string],
  show: (row: EventRow) => string | undefined,
  type?: string,
): Promise<Response> {
  const position = roomView.readableUpTo()
  const turn = new TurnBudget()
  const rows = stateOf(core, roomView.room.num, turn, { position, ...(type === undefined ? {} : { type }) })
  async function* shown(): Pieces {
    for await (const row of rows) {
      const text = show(row)
      if (text !== undefined) yield text
      if (turn.isSpent) await turn.pause()
    }
  }
  return streamed(enclosed(head, shown(), tail))
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidstate */
export function getState(call: Call): Promise<Response> {
  const roomView = viewRoom(call)
  return answerOf(call, roomView, ['[', ']'], row => showEvent(roomView, row))
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
export function getMembers(call: Call): Promise<Response> {
  const wanted = call.query.get('membership')
  const unwanted = call.query.get('not_membership')
  const isWanted = (row: EventRow) => {
    if (wanted === null && unwanted === null) return true
    const { membership } = parseStored(row.content)
    return (wanted === null || membership === wanted) && (unwanted === null || membership !== unwanted)
  }
  const now = call.core.clock.now()
  return answerOf(
    call,
    viewRoom(call),
    ['{"chunk":[', ']}'],
    row => (isWanted(row) ? clientEventText(row, `{"age":${now - row.origin_server_ts}}`) : undefined),
    'm.room.member',
  )
}

/** @see Matrix v1.12, GET /_matrix/client/v3/rooms/{roomId}/joined_members */
export function getJoinedMembers(call: Call): Promise<Response> {
  return answerOf(call, viewRoom(call), ['{"joined":{', '}}'], joinedMember, 'm.room.member')
}

function joinedMember(row: EventRow): string | undefined {
  const content = parseStored(row.content)
  if (content.membership !== 'join' || row.state_key === null) return undefined
  const profile: Record<string, string> = {}
  if (typeof content.displayname === 'string') profile.display_name = content.displayname
  if (typeof content.avatar_url === 'string') profile.avatar_url = content.avatar_url
  return `${JSON.stringify(row.state_key)}:${JSON.stringify(profile)}`
}
