/** Reads a room: its events, its state and its members. */

import { enclosed, jsonText, type Pieces } from '../../lib/json-answer.ts'
import { type Call, intQuery, param, validate } from '../call.ts'
import type { Core } from '../core.ts'
import { invalidParam, notFound } from '../errors.ts'
import { isObject, parseJson, parseStored } from '../json.ts'
import { clientEventText, type EventRow } from '../rooms/events.ts'
import { type RoomView, stateOf, statePosition, viewRoom, visibleEvent } from '../rooms/room-history.ts'
import { showEvent, showEvents } from '../rooms/shown-events.ts'
import {
  BEGINNING,
  type Page,
  positionQuery,
  positionToken,
  readPage,
  timelinePage,
} from '../rooms/timeline.ts'
import type { RelationRow } from '../store/events.ts'
import { type RoomEventFilter, roomEventFilterSchema } from '../sync/filter.ts'

const MAX_LIMIT = 1000

function pageFilter(call: Call): RoomEventFilter | undefined {
  const text = call.query.get('filter')
  return text === null ? undefined : validate(roomEventFilterSchema, parseJson(text))
}

/** A field of the answer that holds events. */
function eventsField(
  roomView: RoomView,
  name: string,
  rows: AsyncIterable<EventRow> | Iterable<EventRow>,
): Pieces {
  return enclosed(`"${name}":[`, showEvents(roomView, rows), ']')
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidmessages */
export async function* getMessages(call: Call): Pieces {
  const { core } = call
  const roomView = viewRoom(call)
  const readable = roomView.readable()
  const dir = call.query.get('dir')
  if (dir !== 'b' && dir !== 'f') throw invalidParam('dir must be b or f')
  const limit = intQuery(call, 'limit', 10, MAX_LIMIT)
  const filter = pageFilter(call)
  const backwards = dir === 'b'
  const from = positionQuery(call, 'from') ?? (backwards ? readable : BEGINNING)
  const to = positionQuery(call, 'to')
  const span = backwards
    ? { from: to ?? BEGINNING, to: Math.min(from, readable) }
    : { from, to: Math.min(to ?? readable, readable) }
  const page = await timelinePage(roomView, { ...span, backwards, limit, filter })
  // Forwards more may always come, so a client that has read everything gets a place to resume.
  const next = page.next ?? (!backwards && page.rows.length > 0 ? readable : undefined)
  yield `{"start":"${positionToken(from)}",`
  if (next !== undefined) yield `"end":"${positionToken(next)}",`
  yield* eventsField(roomView, 'chunk', page.rows)
  if (filter?.lazy_load_members) {
    yield ','
    yield* eventsField(roomView, 'state', senders(core, roomView, page.rows))
  }
  yield '}'
}

function senders(core: Core, roomView: RoomView, rows: EventRow[]): EventRow[] {
  const last = statePosition(Math.max(...rows.map(row => row.position)))
  return [...new Set(rows.map(row => row.sender))].flatMap(sender => {
    const member = core.events.stateAt(roomView.room.num, 'm.room.member', sender, last)
    return member ? [member] : []
  })
}

/** @see Matrix v1.12, GET /_matrix/client/v3/rooms/{roomId}/event/{eventId} */
export function getEvent(call: Call): Response {
  const roomView = viewRoom(call)
  const event = visibleEvent(roomView, param(call, 'eventId'))
  return jsonText(showEvent(roomView, event))
}

/** @see Matrix v1.12, GET /_matrix/client/v3/rooms/{roomId}/context/{eventId} */
export async function* getContext(call: Call): Pieces {
  const roomView = viewRoom(call)
  const event = visibleEvent(roomView, param(call, 'eventId'))
  const limit = intQuery(call, 'limit', 10, MAX_LIMIT)
  const filter = pageFilter(call)
  const readable = roomView.readable()
  const here = event.position
  const older = { backwards: true, from: BEGINNING, to: here - 1, limit: Math.floor(limit / 2), filter }
  const newer = { backwards: false, from: here, to: readable, limit: Math.ceil(limit / 2), filter }
  const before = await timelinePage(roomView, older)
  const after = await timelinePage(roomView, newer)
  const last = after.rows.at(-1)?.position ?? here
  yield `{"start":"${positionToken((before.rows.at(-1)?.position ?? here) - 1)}"`
  yield `,"end":"${positionToken(last)}","event":${showEvent(roomView, event)},`
  yield* eventsField(roomView, 'events_before', before.rows)
  yield ','
  yield* eventsField(roomView, 'events_after', after.rows)
  yield ','
  const state = stateOf(roomView, { position: statePosition(last) })
  yield* eventsField(roomView, 'state', state)
  yield '}'
}

/** @see Matrix v1.12, GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId} */
export async function* getRelations(call: Call): Pieces {
  const { core } = call
  const { relType, eventType } = call.params
  const roomView = viewRoom(call)
  const parent = visibleEvent(roomView, param(call, 'eventId'))
  const limit = intQuery(call, 'limit', 50, MAX_LIMIT)
  const backwards = call.query.get('dir') !== 'f'
  const from = positionQuery(call, 'from') ?? (backwards ? core.stream.position : BEGINNING)
  const readable = roomView.readable()
  const read = backwards ? core.events.relationsBefore : core.events.relationsAfter
  const isWanted = (row: RelationRow) =>
    (relType === undefined || row.rel_type === relType) &&
    (eventType === undefined || row.type === eventType) &&
    roomView.sees(row)
  const page = await readPage(
    { read: (low, high, size) => read(parent.event_id, roomView.room.num, low, high, size), isWanted },
    roomView.turn,
    {
      backwards,
      from: backwards ? BEGINNING : from,
      to: backwards ? Math.min(from, readable) : readable,
      limit,
    },
  )
  yield '{'
  yield* eventsField(roomView, 'chunk', page.rows)
  if (page.next !== undefined) yield `,"next_batch":"${positionToken(page.next)}"`
  if (call.query.has('from')) yield `,"prev_batch":"${positionToken(from)}"`
  yield '}'
}

/**
 * Yields the roots of threads, most recently answered first.
 * @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv1roomsroomidthreads
 */
export async function* getThreads(call: Call): Pieces {
  const roomView = viewRoom(call)
  const readable = roomView.readable()
  const limit = intQuery(call, 'limit', 10, MAX_LIMIT)
  const rootAt = threadFinder(call, roomView, readable)
  const roots: EventRow[] = []
  let next: number | undefined = Math.min(positionQuery(call, 'from') ?? readable, readable)
  while (next !== undefined && roots.length < limit) {
    const wish = { backwards: true, from: BEGINNING, to: next, limit: THREADS_CHUNK }
    const replies: Page = await timelinePage(roomView, wish)
    next = replies.next
    for (const reply of replies.rows) {
      const root = rootAt(reply)
      if (!root) continue
      roots.push(root)
      if (roots.length < limit) continue
      next = reply.position - 1
      break
    }
  }
  yield '{'
  if (next !== undefined) yield `"next_batch":"${positionToken(next)}",`
  yield* eventsField(roomView, 'chunk', roots)
  yield '}'
}

/**
 * @returns a function that finds the root of the thread whose newest reply an event is; call it
 * from the newest event on
 */
function threadFinder({ core, query, userId }: Call, roomView: RoomView, readable: number) {
  const room = roomView.room.num
  const by = query.get('include') === 'participated' ? userId : null
  const passed = new Set<string>()
  return (reply: EventRow): EventRow | undefined => {
    const rootId = threadOf(reply)
    if (rootId === undefined || passed.has(rootId) || (by !== null && reply.sender !== by)) return undefined
    passed.add(rootId)
    // A thread with a newer reply is on an earlier page.
    if (core.events.lastOfThread(rootId, room, readable, by) !== reply.position) return undefined
    const root = core.events.byId(rootId)
    return root?.room === room && roomView.sees(root) ? root : undefined
  }
}

const THREADS_CHUNK = 100

function threadOf({ content }: EventRow): string | undefined {
  if (!content.includes('m.thread')) return undefined
  const relation = parseStored(content)['m.relates_to']
  if (!isObject(relation) || relation.rel_type !== 'm.thread') return undefined
  return typeof relation.event_id === 'string' ? relation.event_id : undefined
}

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
