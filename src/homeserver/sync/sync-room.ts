/** One room's part of a sync's answer, and what all parts share. */

import { enclosed, type Pieces, separated } from '../../lib/json-answer.ts'
import { pagesOf } from '../../lib/pages.ts'
import type { TurnBudget } from '../../lib/turn-budget.ts'
import type { Requester } from '../call.ts'
import type { Core } from '../core.ts'
import type { EventRow } from '../rooms/events.ts'
import { invitePreview, RoomView, stateOf, statePosition } from '../rooms/room-history.ts'
import { receiptContent, showEvents } from '../rooms/shown-events.ts'
import { BEGINNING, positionToken, type StreamToken, timelinePage } from '../rooms/timeline.ts'
import type { MembershipRow } from '../store/events.ts'
import type { AccountDataKey } from '../store/users.ts'
import { allowsEvent, allowsType, type Filter } from './filter.ts'

const DEFAULT_TIMELINE = 10
const MAX_TIMELINE = 500
const HEROES = 5
/** Most receipts of a room in one answer, newest first. */
const MAX_RECEIPTS = 2_000
const ACCOUNT_DATA_PAGE = 100

export interface SyncRequest {
  since: StreamToken | undefined
  filter: Filter
  fullState: boolean
}

export interface SyncContext {
  core: Core
  requester: Requester
  request: SyncRequest
  /** The answer holds everything up to here and nothing after it. */
  position: number
  turn: TurnBudget
}

export function accountDataText(type: string, content: string | undefined): string {
  return `{"type":${JSON.stringify(type)},"content":${content ?? '{}'}}`
}

/** A room the user is invited to or knocks at. */
export async function* strangerRoom({ core }: SyncContext, row: MembershipRow): Pieces {
  const event = core.events.at(row.stream_id)
  const key = row.membership === 'invite' ? 'invite_state' : 'knock_state'
  yield `${JSON.stringify(row.room_id)}:{"${key}":{"events":${event ? invitePreview(core, event) : '[]'}}}`
}

async function viewOf({ core, requester, turn }: SyncContext, roomId: string): Promise<RoomView> {
  await core.rooms.prepare(roomId)
  const room = core.rooms.read(roomId)
  if (!room) throw new Error(`a member's room is missing: ${roomId}`)
  return new RoomView(requester, room, turn)
}

/**
 * A room the user is in; yields nothing if nothing changed.
 * @param changed its account data since the token
 */
export async function* joinedRoom(
  context: SyncContext,
  row: MembershipRow,
  changed: AccountDataKey[],
): Pieces {
  const { core, request, position } = context
  const since = request.since?.position ?? 0
  const filter = request.filter.room
  const hasEvents = core.lastPosition(row.room) > since
  const ownData = changed.map(({ type }) => type).filter(type => allowsType(filter?.account_data, type))
  const typingChanged =
    request.since !== undefined && core.typing.changedAt(row.room_id) > request.since.typing
  const hasReceipts = (core.users.lastReceiptOf(row.room) ?? 0) > since
  if (!hasEvents && ownData.length === 0 && !typingChanged && !hasReceipts && !request.fullState) return

  const view = await viewOf(context, row.room_id)
  const isFresh = !request.since || (row.stream_id > since && view.membershipAt(since) !== 'join')
  const timeline = await timelineOf(context, view, isFresh ? BEGINNING : since, position)
  const isWhole = isFresh || request.fullState
  const ephemeral = ephemeralOf(context, view, isFresh)
  const hasTimeline = timeline.rows.length > 0 || timeline.limited
  if (!isWhole && !hasTimeline && ephemeral.length === 0 && ownData.length === 0) return

  yield `${JSON.stringify(row.room_id)}:{`
  yield* timelineField(view, timeline)
  let membersChanged = timeline.rows.some(isMembership)
  async function* state(): AsyncGenerator<EventRow, void> {
    for await (const row of stateFor(context, view, timeline, isWhole ? undefined : since)) {
      membersChanged ||= isMembership(row)
      yield row
    }
  }
  yield* eventsField(view, ',"state":{"events":[', state())
  yield `,"ephemeral":{"events":[${ephemeral.join(',')}]},"account_data":{"events":[`
  yield* separated(roomData(context, row.room, isFresh ? undefined : ownData))
  const summary = isWhole || membersChanged ? JSON.stringify(summaryOf(view)) : '{}'
  yield `]},"unread_notifications":{"notification_count":0,"highlight_count":0},"summary":${summary}}`
}

/** A room the user has left. */
export async function* leftRoom(context: SyncContext, row: MembershipRow): Pieces {
  const { request } = context
  const view = await viewOf(context, row.room_id)
  const since = request.since?.position ?? 0
  const wasIn = request.since !== undefined && view.membershipAt(since) === 'join'
  const timeline = await timelineOf(context, view, wasIn ? since : BEGINNING, row.stream_id)
  yield `${JSON.stringify(row.room_id)}:{`
  yield* timelineField(view, timeline)
  // A user who never was in the room only learns that the invite is gone.
  const state = view.everJoined ? stateFor(context, view, timeline, wasIn ? since : undefined) : []
  yield* eventsField(view, ',"state":{"events":[', state)
  yield ',"account_data":{"events":[]}}'
}

interface Timeline {
  /** Oldest first. */
  rows: EventRow[]
  limited: boolean
  /** Position before the first of `rows`. */
  start: number
}

async function timelineOf(context: SyncContext, view: RoomView, from: number, to: number): Promise<Timeline> {
  const filter = context.request.filter.room?.timeline
  const limit = Math.min(filter?.limit ?? DEFAULT_TIMELINE, MAX_TIMELINE)
  const page = await timelinePage(view, { backwards: true, from, to, limit, filter })
  const rows = page.rows.reverse()
  const limited = page.next !== undefined
  const start = limited ? (rows[0] ? rows[0].position - 1 : to) : from
  return { rows, limited, start }
}

function timelineField(view: RoomView, { rows, limited, start }: Timeline): Pieces {
  const before = positionToken(rows[0] ? rows[0].position - 1 : start)
  const head = `"timeline":{"limited":${limited},"prev_batch":"${before}","events":[`
  return eventsField(view, head, rows)
}

function eventsField(
  view: RoomView,
  head: string,
  rows: AsyncIterable<EventRow> | Iterable<EventRow>,
): Pieces {
  return enclosed(head, showEvents(view, rows), ']}')
}

const isMembership = ({ type }: EventRow) => type === 'm.room.member'

/**
 * State the client lacks at the timeline's start: all of it in a new room (`since` undefined), else
 * the changes between its token and the timeline.
 */
async function* stateFor(
  context: SyncContext,
  view: RoomView,
  timeline: Timeline,
  since: number | undefined,
): AsyncGenerator<EventRow, void> {
  const { core, request } = context
  const filter = request.filter.room?.state
  const before = (timeline.rows[0]?.position ?? timeline.start + 1) - 1
  const start = Math.min(statePosition(before), context.position)
  const isLazy = filter?.lazy_load_members || request.filter.room?.timeline?.lazy_load_members
  // Lazy loading only includes the senders in the timeline, and the user itself.
  const needed = isLazy ? new Set(timeline.rows.map(row => row.sender)) : undefined
  if (!request.since) needed?.add(view.userId)
  if (since === undefined || timeline.limited) {
    const position = since === undefined && timeline.rows.length === 0 ? context.position : start
    const wants = (key: { type: string; state_key: string }) =>
      needed === undefined || key.type !== 'm.room.member' || needed.has(key.state_key)
    for await (const row of stateOf(view, { position, since: since ?? 0, wants })) {
      if (row.type === 'm.room.member') needed?.delete(row.state_key ?? '')
      if (allowsEvent(filter, row)) yield row
    }
  }
  for (const userId of needed ?? []) {
    const member = core.events.stateAt(view.room.num, 'm.room.member', userId, start)
    if (member && allowsEvent(filter, member)) yield member
  }
}

function ephemeralOf({ core, requester, request }: SyncContext, view: RoomView, isFresh: boolean): string[] {
  const { roomId, num } = view.room
  const filter = request.filter.room?.ephemeral
  const since = isFresh ? 0 : (request.since?.position ?? 0)
  const events: string[] = []
  const receipts = allowsType(filter, 'm.receipt')
    ? core.users
        .receiptsOf(num, since, MAX_RECEIPTS)
        .filter(row => row.receipt_type !== 'm.read.private' || row.user_id === requester.userId)
    : []
  if (receipts.length > 0)
    events.push(`{"type":"m.receipt","content":${JSON.stringify(receiptContent(receipts))}}`)
  const users = core.typing.users(roomId)
  const hasChanged = core.typing.changedAt(roomId) > (request.since?.typing ?? 0)
  if (hasChanged && (!isFresh || users.length > 0) && allowsType(filter, 'm.typing'))
    events.push(`{"type":"m.typing","content":${JSON.stringify({ user_ids: users })}}`)
  return events
}

/** A room's account data: of these types, or everything that passes the filter. */
async function* roomData(
  { core, requester, request, turn }: SyncContext,
  room: number,
  types: string[] | undefined,
): Pieces {
  const { userId } = requester
  if (types !== undefined) {
    for (const type of types) yield accountDataText(type, core.users.accountData(userId, room, type))
    return
  }
  const filter = request.filter.room?.account_data
  const read = (after: string, limit: number) => core.users.accountDataTypes(userId, room, after, limit)
  const kept = { read, placeOf: (type: string) => type, start: '', size: ACCOUNT_DATA_PAGE }
  for await (const page of pagesOf(kept, turn))
    for (const type of page) {
      if (allowsType(filter, type)) yield accountDataText(type, core.users.accountData(userId, room, type))
      if (turn.isSpent) await turn.pause()
    }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3sync */
function summaryOf({ room, userId }: RoomView) {
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
