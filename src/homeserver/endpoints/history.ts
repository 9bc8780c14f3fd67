/** Reading a room's events. */

import { validate } from '../body.ts'
import { type Call, intQuery, param } from '../call.ts'
import type { Core } from '../core.ts'
import { badJson, invalidParam } from '../errors.ts'
import type { EventRow } from '../events.ts'
import { type RoomEventFilter, roomEventFilterSchema } from '../filter.ts'
import type { JsonObject } from '../json.ts'
import { type RoomView, stateAt, stateEventAt, viewRoom, visibleEvent } from '../room-history.ts'
import { showEvents } from '../shown-events.ts'
import { pageBackwards, pageForwards, parsePosition, positionToken } from '../timeline.ts'

const MAX_LIMIT = 1000

function view(call: Call): RoomView {
  return viewRoom(call.core, param(call, 'roomId'), call.requester.userId)
}

function position(call: Call, name: string): number | undefined {
  const token = call.query.get(name)
  if (token === null) return undefined
  const parsed = parsePosition(token)
  if (parsed === undefined) throw invalidParam(`${name} is not a token of this server`)
  return parsed
}

function pageFilter(call: Call): RoomEventFilter | undefined {
  const text = call.query.get('filter')
  if (text === null) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw badJson('The filter is not JSON')
  }
  return validate(roomEventFilterSchema, value)
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidmessages */
export function getMessages(call: Call): JsonObject {
  const { core, requester } = call
  const roomView = view(call)
  const readable = Math.min(roomView.readableUpTo(), core.stream.position)
  const dir = call.query.get('dir')
  if (dir !== 'b' && dir !== 'f') throw invalidParam('dir must be b or f')
  const limit = intQuery(call, 'limit', 10, MAX_LIMIT)
  const filter = pageFilter(call)
  const from = position(call, 'from') ?? (dir === 'b' ? readable : 0)
  const to = position(call, 'to')
  const page =
    dir === 'b'
      ? pageBackwards(core, roomView, filter, { from: to ?? 0, to: Math.min(from, readable), limit })
      : pageForwards(core, roomView, filter, { from, to: Math.min(to ?? readable, readable), limit })
  const answer: JsonObject = {
    start: positionToken(from),
    chunk: showEvents(core, requester, roomView, page.rows),
  }
  // Forwards there may always come more, so a client that has read all gets a place to go on from.
  const next = page.next ?? (dir === 'f' && page.rows.length > 0 ? readable : undefined)
  if (next !== undefined) answer.end = positionToken(next)
  if (filter?.lazy_load_members)
    answer.state = showEvents(core, requester, roomView, senders(core, roomView, page.rows))
  return answer
}

function senders(core: Core, roomView: RoomView, rows: EventRow[]): EventRow[] {
  const last = Math.max(0, ...rows.map(row => row.stream_id))
  return [...new Set(rows.map(row => row.sender))].flatMap(sender => {
    const member = stateEventAt(core, roomView.room.num, 'm.room.member', sender, last)
    return member ? [member] : []
  })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomideventeventid */
export function getEvent(call: Call): JsonObject {
  const roomView = view(call)
  const event = visibleEvent(roomView, call.core, param(call, 'eventId'))
  return showEvents(call.core, call.requester, roomView, [event])[0] ?? {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidcontexteventid */
export function getContext(call: Call): JsonObject {
  const { core, requester } = call
  const roomView = view(call)
  const event = visibleEvent(roomView, core, param(call, 'eventId'))
  const limit = intQuery(call, 'limit', 10, MAX_LIMIT)
  const filter = pageFilter(call)
  const readable = Math.min(roomView.readableUpTo(), core.stream.position)
  const here = event.stream_id
  const before = pageBackwards(core, roomView, filter, {
    from: 0,
    to: here - 1,
    limit: Math.floor(limit / 2),
  })
  const after = pageForwards(core, roomView, filter, {
    from: here,
    to: readable,
    limit: Math.ceil(limit / 2),
  })
  const last = after.rows.at(-1)?.stream_id ?? here
  const show = (rows: EventRow[]) => showEvents(core, requester, roomView, rows)
  return {
    start: positionToken((before.rows.at(-1)?.stream_id ?? here) - 1),
    end: positionToken(last),
    event: show([event])[0] ?? {},
    events_before: show(before.rows),
    events_after: show(after.rows),
    state: show(stateAt(core, roomView.room.num, last)),
  }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv1roomsroomidrelationseventid */
export function getRelations(call: Call): JsonObject {
  const { core, requester, params } = call
  const roomView = view(call)
  const parent = visibleEvent(roomView, core, param(call, 'eventId'))
  const limit = intQuery(call, 'limit', 50, MAX_LIMIT)
  const forwards = call.query.get('dir') === 'f'
  const readable = roomView.readableUpTo()
  const from = position(call, 'from') ?? (forwards ? 0 : core.stream.position)
  const matching = core.events
    .relations(parent.event_id, roomView.room.num)
    .filter(row => params.relType === undefined || row.rel_type === params.relType)
    .filter(row => params.eventType === undefined || row.type === params.eventType)
    .filter(row => row.stream_id <= readable && roomView.sees(row))
    .filter(row => (forwards ? row.stream_id > from : row.stream_id <= from))
  if (!forwards) matching.reverse()
  const rows = matching.slice(0, limit)
  const answer: JsonObject = { chunk: showEvents(core, requester, roomView, rows) }
  const last = rows.at(-1)
  if (last && matching.length > limit)
    answer.next_batch = positionToken(forwards ? last.stream_id : last.stream_id - 1)
  if (call.query.has('from')) answer.prev_batch = positionToken(from)
  return answer
}
