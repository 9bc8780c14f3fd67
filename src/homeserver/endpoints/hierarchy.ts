/** GET /rooms/{roomId}/hierarchy: a space and its rooms, or a single room. */

import { type Pieces, separated } from '../../lib/json-answer.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { speaksIn } from '../appservices/puppets.ts'
import { type Call, intQuery, param } from '../call.ts'
import { forbidden } from '../errors.ts'
import { type Json, type JsonObject, parseStored } from '../json.ts'
import { type EventRow, strippedEventText } from '../rooms/events.ts'
import { stateOf } from '../rooms/room-history.ts'
import type { RoomState } from '../rooms/room-state.ts'

const ROOMS_OF_PAGE = 50
/** Most rooms shown of one space; they are sorted in one turn of the event loop. */
const MAX_CHILDREN = 5_000
const OPEN_RULES = ['public', 'knock', 'knock_restricted']

interface Found {
  room: RoomState
  isSpace: boolean
  children: Child[]
}

interface Child {
  row: EventRow
  order: string
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#get_matrixclientv1roomsroomidhierarchy */
export async function* getHierarchy(call: Call): Pieces {
  if (!knownRoom(call, param(call, 'roomId'))) throw forbidden(`${call.userId} may not see the room`)
  const from = intQuery(call, 'from', 0, Number.MAX_SAFE_INTEGER)
  const limit = Math.max(1, intQuery(call, 'limit', ROOMS_OF_PAGE, ROOMS_OF_PAGE))
  yield '{"rooms":['
  let at = 0
  for await (const each of walk(call)) {
    if (at === from + limit) return yield `],"next_batch":"${at}"}`
    if (at > from) yield ','
    if (at >= from) yield* roomText(call, each)
    at++
  }
  yield ']}'
}

/** Yields the rooms the user may see, each before its children. */
async function* walk(call: Call): AsyncGenerator<Found, void> {
  const maxDepth = intQuery(call, 'max_depth', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  const turn = new TurnBudget()
  const seen = new Set<string>()
  const ahead = [{ roomId: param(call, 'roomId'), depth: 0 }]
  for (let next = ahead.pop(); next; next = ahead.pop()) {
    const { roomId, depth } = next
    if (turn.isSpent) await turn.pause()
    if (seen.has(roomId)) continue
    await call.core.rooms.prepare(roomId)
    const room = knownRoom(call, roomId)
    if (!room) continue
    seen.add(roomId)
    const isSpace = field(call, room, 'm.room.create', 'type') === 'm.space'
    const children = isSpace ? await childrenOf(call, room, turn) : []
    yield { room, isSpace, children }
    if (depth >= maxDepth) continue
    for (const { row } of children.toReversed()) ahead.push({ roomId: row.state_key ?? '', depth: depth + 1 })
  }
}

/** The room, if the user is in it or may join it. */
function knownRoom(call: Call, roomId: string): RoomState | undefined {
  const { core, userId } = call
  const room = core.rooms.read(roomId)
  if (!room || !speaksIn(call, roomId)) return undefined
  const membership = room.membershipOf(userId)
  if (membership === 'join' || membership === 'invite') return room
  const isOpen =
    room.historyVisibility === 'world_readable' ||
    OPEN_RULES.includes(room.joinRule) ||
    room.allowedByRestriction(userId)
  return isOpen && membership !== 'ban' ? room : undefined
}

/** @see https://spec.matrix.org/v1.4/client-server-api/#ordering-of-children-within-a-space */
async function childrenOf({ core, query }: Call, room: RoomState, turn: TurnBudget): Promise<Child[]> {
  const onlySuggested = query.get('suggested_only') === 'true'
  const children: Child[] = []
  for await (const row of stateOf({ core, room, turn }, { type: 'm.space.child' })) {
    const { via, suggested, order } = parseStored(row.content)
    if (!Array.isArray(via) || (onlySuggested && suggested !== true)) continue
    children.push({ row, order: isOrder(order) ? order : '\u007F' })
    if (children.length === MAX_CHILDREN) break
  }
  const byPlace = (a: Child, b: Child) =>
    compared(a.order, b.order) ||
    a.row.origin_server_ts - b.row.origin_server_ts ||
    compared(a.row.state_key ?? '', b.row.state_key ?? '')
  return children.sort(byPlace)
}

const isOrder = (order: Json | undefined): order is string =>
  typeof order === 'string' && /^[\x20-\x7E]{1,50}$/.test(order)

const compared = (a: string, b: string): number => Number(a > b) - Number(a < b)

async function* roomText(call: Call, { room, isSpace, children }: Found): Pieces {
  const summary: JsonObject = {
    room_id: room.roomId,
    ...shownAs(call, room, 'name', ['m.room.name', 'name']),
    ...shownAs(call, room, 'topic', ['m.room.topic', 'topic']),
    ...shownAs(call, room, 'avatar_url', ['m.room.avatar', 'url']),
    ...shownAs(call, room, 'canonical_alias', ['m.room.canonical_alias', 'alias']),
    ...(isSpace ? { room_type: 'm.space' } : {}),
    join_rule: room.joinRule,
    num_joined_members: joinedIn(room),
    guest_can_join: false,
    world_readable: room.historyVisibility === 'world_readable',
  }
  yield `${JSON.stringify(summary).slice(0, -1)},"children_state":[`
  yield* separated(children.map(({ row }) => childText(row)))
  yield ']}'
}

function shownAs(call: Call, room: RoomState, name: string, [type, key]: [string, string]): JsonObject {
  const value = field(call, room, type, key)
  return typeof value === 'string' ? { [name]: value } : {}
}

function joinedIn({ members }: RoomState): number {
  let joined = 0
  for (const membership of members.values()) joined += Number(membership === 'join')
  return joined
}

function childText(row: EventRow): string {
  return `${strippedEventText(row).slice(0, -1)},"origin_server_ts":${row.origin_server_ts}}`
}

function field({ core }: Call, room: RoomState, type: string, name: string): Json | undefined {
  const event = core.events.currentState(room.num, type, '')
  return event && parseStored(event.content)[name]
}
