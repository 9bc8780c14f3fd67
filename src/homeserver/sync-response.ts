/** What a sync answers. @see https://spec.matrix.org/v1.12/client-server-api/#syncing */
import type { Requester } from './call.ts'
import type { Core } from './core.ts'
import type { EventRow } from './events.ts'
import { allowsEvent, allowsRoom, allowsType, type Filter } from './filter.ts'
import { type JsonObject, parseStored } from './json.ts'
import { PUSH_RULES } from './push-rules.ts'
import { receiptContent } from './receipts.ts'
import { invitePreview, RoomView, stateAt, stateEventAt } from './room-history.ts'
import { showEvents } from './shown-events.ts'
import type { MembershipRow } from './store/events.ts'
import type { AccountDataRow } from './store/users.ts'
import { pageBackwards, positionToken } from './timeline.ts'

const DEFAULT_TIMELINE = 10
const MAX_TIMELINE = 500
const HEROES = 5

/** A place in the stream, and one among the changes of typing, which are not stored. */
export interface SyncToken {
  position: number
  typing: number
}

export interface SyncRequest {
  since: SyncToken | undefined
  filter: Filter
  fullState: boolean
}

export function parseSyncToken(token: string): SyncToken | undefined {
  const match = /^[st](\d{1,15})(?:_(\d{1,15}))?$/.exec(token)
  return match ? { position: Number(match[1]), typing: Number(match[2] ?? 0) } : undefined
}

interface Context {
  core: Core
  requester: Requester
  request: SyncRequest
  /** Everything up to here is in this response, nothing after it. */
  position: number
  accountData: Map<number, AccountDataRow[]>
}

/** @returns the response for what happened since the request's token, or for all there is */
export function buildSync(core: Core, requester: Requester, request: SyncRequest): JsonObject {
  const { position } = core.stream
  const typing = core.typing.position
  const since = request.since?.position ?? 0
  const accountData = Map.groupBy(core.users.accountDataSince(requester.userId, since), row => row.room)
  const context: Context = { core, requester, request, position, accountData }
  const answer: JsonObject = { next_batch: `s${position}_${typing}` }
  const rooms = roomSections(context)
  if (rooms !== undefined) answer.rooms = rooms
  const globals = globalAccountData(context)
  if (globals.length > 0) answer.account_data = { events: globals }
  addDevice(context, answer)
  return answer
}

/** True when there is nothing to tell. */
export function isEmpty(answer: JsonObject): boolean {
  return !('rooms' in answer || 'account_data' in answer || 'to_device' in answer || 'device_lists' in answer)
}

function globalAccountData({ accountData, request }: Context): JsonObject[] {
  const rows = accountData.get(0) ?? []
  const events = rows.map(row => ({ type: row.type, content: parseStored(row.content) }))
  if (!request.since) events.push({ type: 'm.push_rules', content: PUSH_RULES })
  return events.filter(event => allowsType(request.filter.account_data, event.type))
}

function addDevice({ core, requester, request, position }: Context, answer: JsonObject): void {
  const { userId, deviceId } = requester
  const since = request.since?.position ?? 0
  if (request.since) {
    const changed = core.keys
      .changes(since, position)
      .filter(other => other === userId || core.users.shareRoom(userId, other))
    if (changed.length > 0) answer.device_lists = { changed, left: [] }
  }
  if (deviceId === undefined) return
  const messages = core.keys.toDevice(userId, deviceId, since, position)
  // Of more messages than one response takes, the rest comes with the next: so its token must not pass them.
  const last = messages.at(-1)
  if (last && messages.length === 100) answer.next_batch = `s${last.stream_id}_0`
  if (messages.length > 0)
    answer.to_device = {
      events: messages.map(row => ({
        sender: row.sender,
        type: row.type,
        content: parseStored(row.content),
      })),
    }
  answer.device_one_time_keys_count = { signed_curve25519: 0, ...core.keys.counts(userId, deviceId) }
  answer.device_unused_fallback_key_types = core.keys.unusedFallback(userId, deviceId)
}

function roomSections(context: Context): JsonObject | undefined {
  const { core, requester, request } = context
  const sections: Record<'join' | 'invite' | 'knock' | 'leave', JsonObject> = {
    join: {},
    invite: {},
    knock: {},
    leave: {},
  }
  for (const row of core.events.membershipsOf(requester.userId)) {
    if (!allowsRoom(request.filter.room, row.room_id)) continue
    const isNew = row.stream_id > (request.since?.position ?? 0)
    switch (row.membership) {
      case 'join': {
        const room = joinedRoom(context, row)
        if (room) sections.join[row.room_id] = room
        break
      }
      case 'invite':
      case 'knock':
        if (isNew || request.fullState) sections[row.membership][row.room_id] = strangerRoom(context, row)
        break
      default: {
        const wanted = request.since ? isNew : request.filter.room?.include_leave === true
        if (wanted) sections.leave[row.room_id] = leftRoom(context, row)
      }
    }
  }
  const filled = Object.entries(sections).filter(([, rooms]) => Object.keys(rooms).length > 0)
  return filled.length === 0 ? undefined : Object.fromEntries(filled)
}

function strangerRoom({ core }: Context, row: MembershipRow): JsonObject {
  const event = core.events.at(row.stream_id)
  const key = row.membership === 'invite' ? 'invite_state' : 'knock_state'
  return { [key]: { events: event ? invitePreview(core, event) : [] } }
}

function viewOf({ core, requester }: Context, roomId: string): RoomView {
  const room = core.rooms.read(roomId)
  if (!room) throw new Error(`a member's room is missing: ${roomId}`)
  return new RoomView(core, room, requester.userId)
}

function joinedRoom(context: Context, row: MembershipRow): JsonObject | undefined {
  const { core, requester, request, position, accountData } = context
  const since = request.since?.position ?? 0
  const filter = request.filter.room
  const hasEvents = core.lastPosition(row.room) > since
  const ownData = (accountData.get(row.room) ?? []).filter(data =>
    allowsType(filter?.account_data, data.type),
  )
  const typingChanged =
    request.since !== undefined && core.typing.changedAt(row.room_id) > request.since.typing
  const receipts = core.receipts.ofRoom(row.room, since)
  if (!hasEvents && ownData.length === 0 && !typingChanged && receipts.length === 0 && !request.fullState)
    return undefined

  const view = viewOf(context, row.room_id)
  const fresh = !request.since || (row.stream_id > since && view.membershipAt(since) !== 'join')
  const timeline = timelineOf(context, view, fresh ? 0 : since, position)
  const whole = fresh || request.fullState
  const state = stateFor(context, view, timeline, whole ? undefined : since)
  const ephemeral = ephemeralOf(context, view, fresh)
  const data = fresh ? allRoomData(context, row.room) : ownData
  if (
    !whole &&
    timeline.rows.length + state.length + ephemeral.length + data.length === 0 &&
    !timeline.limited
  )
    return undefined
  const membersChanged = [...timeline.rows, ...state].some(event => event.type === 'm.room.member')
  return {
    timeline: shownTimeline(context, view, timeline),
    state: { events: showEvents(core, requester, view, state) },
    ephemeral: { events: ephemeral },
    account_data: { events: data.map(({ type, content }) => ({ type, content: parseStored(content) })) },
    unread_notifications: { notification_count: 0, highlight_count: 0 },
    summary: whole || membersChanged ? summary(view) : {},
  }
}

function leftRoom(context: Context, row: MembershipRow): JsonObject {
  const { core, requester, request } = context
  const view = viewOf(context, row.room_id)
  const since = request.since?.position ?? 0
  const wasIn = request.since !== undefined && view.membershipAt(since) === 'join'
  const timeline = timelineOf(context, view, wasIn ? since : 0, row.stream_id)
  // Somebody who never was in the room learns no more than that the invite is gone.
  const state = view.everJoined ? stateFor(context, view, timeline, wasIn ? since : undefined) : []
  return {
    timeline: shownTimeline(context, view, timeline),
    state: { events: showEvents(core, requester, view, state) },
    account_data: { events: [] },
  }
}

interface Timeline {
  /** Oldest first. */
  rows: EventRow[]
  limited: boolean
  /** The place before the first of `rows`. */
  start: number
}

function timelineOf(context: Context, view: RoomView, from: number, to: number): Timeline {
  const filter = context.request.filter.room?.timeline
  const limit = Math.min(filter?.limit ?? DEFAULT_TIMELINE, MAX_TIMELINE)
  const page = pageBackwards(context.core, view, filter, { from, to, limit })
  const rows = page.rows.reverse()
  const limited = page.next !== undefined
  const start = limited ? (rows[0] ? rows[0].stream_id - 1 : to) : from
  return { rows, limited, start }
}

function shownTimeline({ core, requester }: Context, view: RoomView, timeline: Timeline): JsonObject {
  const first = timeline.rows[0]
  return {
    events: showEvents(core, requester, view, timeline.rows),
    limited: timeline.limited,
    prev_batch: positionToken(first ? first.stream_id - 1 : timeline.start),
  }
}

/**
 * The state that the client lacks at the start of the timeline: all of it for a room that is new to it (`since` undefined), else what
 * changed in the gap between its token and the timeline.
 */
function stateFor(
  context: Context,
  view: RoomView,
  timeline: Timeline,
  since: number | undefined,
): EventRow[] {
  const { core, request } = context
  const { num } = view.room
  const filter = request.filter.room?.state
  const start = (timeline.rows[0]?.stream_id ?? timeline.start + 1) - 1
  let rows: EventRow[]
  if (since === undefined) rows = stateAt(core, num, timeline.rows.length === 0 ? context.position : start)
  else if (!timeline.limited) rows = []
  else rows = latestOfEach(core.events.stateChanges(num, since, start))
  if (filter?.lazy_load_members || request.filter.room?.timeline?.lazy_load_members)
    rows = lazily(context, view, timeline, rows)
  return rows.filter(row => allowsEvent(filter, row))
}

function latestOfEach(changes: EventRow[]): EventRow[] {
  const latest = new Map<string, EventRow>()
  for (const row of changes) latest.set(`${row.type}\n${row.state_key}`, row)
  return [...latest.values()]
}

/** With lazy loading, of the members only those who sent something in the timeline (and oneself). */
function lazily(context: Context, view: RoomView, timeline: Timeline, rows: EventRow[]): EventRow[] {
  const needed = new Set(timeline.rows.map(row => row.sender))
  if (!context.request.since) needed.add(view.userId)
  const kept = rows.filter(
    row => row.type !== 'm.room.member' || (row.state_key !== null && needed.has(row.state_key)),
  )
  const present = new Set(kept.filter(row => row.type === 'm.room.member').map(row => row.state_key))
  const start = (timeline.rows[0]?.stream_id ?? timeline.start + 1) - 1
  for (const userId of needed) {
    if (present.has(userId)) continue
    const member = stateEventAt(context.core, view.room.num, 'm.room.member', userId, start)
    if (member) kept.push(member)
  }
  return kept
}

function ephemeralOf({ core, requester, request }: Context, view: RoomView, fresh: boolean): JsonObject[] {
  const { roomId, num } = view.room
  const since = fresh ? 0 : (request.since?.position ?? 0)
  const events: JsonObject[] = []
  const receipts = core.receipts
    .ofRoom(num, since)
    .filter(row => row.receipt_type !== 'm.read.private' || row.user_id === requester.userId)
  if (receipts.length > 0) events.push({ type: 'm.receipt', content: receiptContent(receipts) })
  const users = core.typing.users(roomId)
  const changed = core.typing.changedAt(roomId) > (request.since?.typing ?? 0)
  if (changed && (!fresh || users.length > 0)) events.push({ type: 'm.typing', content: { user_ids: users } })
  return events.filter(event => allowsType(request.filter.room?.ephemeral, String(event.type)))
}

function allRoomData({ core, requester, request }: Context, room: number): AccountDataRow[] {
  return core.users
    .accountDataSince(requester.userId, 0)
    .filter(row => row.room === room && allowsType(request.filter.room?.account_data, row.type))
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3sync_response-200_roomsummary */
function summary({ room, userId }: RoomView): JsonObject {
  let joined = 0
  let invited = 0
  const heroes: string[] = []
  for (const [member, membership] of room.members) {
    if (membership === 'join') joined++
    else if (membership === 'invite') invited++
    else continue
    if (member !== userId && heroes.length < HEROES) heroes.push(member)
  }
  return { 'm.heroes': heroes, 'm.joined_member_count': joined, 'm.invited_member_count': invited }
}
