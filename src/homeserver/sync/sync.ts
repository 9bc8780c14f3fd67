/**
 * GET /sync: the long poll. The answer is written while it is sent, as a user may be in any number
 * of rooms. It holds everything up to the stream's position at its start, and nothing later.
 * @see https://spec.matrix.org/v1.12/client-server-api/#syncing
 */

import { enclosed, type Pieces } from '../../lib/json-answer.ts'
import { pagesOf } from '../../lib/pages.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { DIRECT_TYPE, sharesType, shownDirect } from '../appservices/direct-rooms.ts'
import { speaksInStored } from '../appservices/puppets.ts'
import { type Call, intQuery, type Requester, validate } from '../call.ts'
import { PUSH_RULES, PUSH_RULES_TYPE } from '../endpoints/push-rules.ts'
import { invalidParam, MatrixError } from '../errors.ts'
import { parseJson, parseStored } from '../json.ts'
import { parseToken } from '../rooms/timeline.ts'
import type { MembershipRow } from '../store/events.ts'
import type { ToDeviceRow } from '../store/keys.ts'
import type { AccountDataKey } from '../store/users.ts'
import { allowsRoom, allowsType, type Filter, filterSchema } from './filter.ts'
import { changedUsers } from './key-changes.ts'
import {
  accountDataText,
  joinedRoom,
  leftRoom,
  type SyncContext,
  type SyncRequest,
  strangerRoom,
} from './sync-room.ts'

const MAX_TIMEOUT_MS = 10 * 60_000

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3sync */
export async function* sync(call: Call): Pieces {
  const { core, query } = call
  // A client answered at once would ask again at once; an error makes it wait.
  if (core.stopping.signal.aborted) throw new MatrixError(503, 'M_UNKNOWN', 'The server is stopping')
  const token = query.get('since')
  const since = token ? parseToken(token) : undefined
  if (token && !since) throw invalidParam('since is not a token of this server')
  const request = { since, filter: readFilter(call), fullState: query.get('full_state') === 'true' }
  const deadline = core.clock.steady() + intQuery(call, 'timeout', 0, MAX_TIMEOUT_MS)
  if (since) await forgetSeen(call, since.position)
  const signals = [call.request.signal, core.stopping.signal]
  for (;;) {
    const before = [core.stream.position, core.typing.position]
    const answer = new SyncAnswer(call, request)
    const sections = answer.sections()
    const first = await sections.next()
    const left = deadline - core.clock.steady()
    const ended = left <= 0 || signals.some(signal => signal.aborted)
    if (!first.done || !since || request.fullState || ended) {
      yield `{${answer.head()}${first.value ?? ''}`
      yield* sections
      return yield '}'
    }
    // An event that arrived during the search has woken nobody.
    const hasMoved = core.stream.position !== before[0] || core.typing.position !== before[1]
    if (!hasMoved) await core.stream.wait(call.userId, left, signals)
  }
}

function readFilter({ core, query, userId }: Call): Filter {
  const text = query.get('filter')
  if (text === null || text === '') return {}
  const stored = text.startsWith('{') ? text : core.users.filter(Number(text), userId)
  if (stored === undefined) throw invalidParam('Unknown filter')
  return validate(filterSchema, parseJson(stored))
}

/** A client that returns with a token has received everything before it. */
async function forgetSeen({ core, userId, deviceId }: Call, position: number): Promise<void> {
  if (deviceId === undefined || !core.keys.hasSeen(userId, deviceId, position)) return
  let hasMore = true
  while (hasMore) {
    hasMore = await core.commit(() => core.keys.deleteSeen(userId, deviceId, position))
  }
}

/** Most to-device messages in one answer. */
const TO_DEVICE_MESSAGES = 100

/** Changed account data by room number; 0 is global data. */
type AccountDataByRoom = Map<number, AccountDataKey[]>

/** Everything since a request's token; without a token, everything there is. */
class SyncAnswer {
  private readonly context: SyncContext
  private readonly typing: number
  private readonly toDevice: ToDeviceRow[]

  constructor(requester: Requester, request: SyncRequest) {
    const { core, userId, deviceId } = requester
    const since = request.since?.position ?? 0
    this.toDevice =
      deviceId === undefined
        ? []
        : core.keys.toDevice(userId, deviceId, since, core.stream.position, TO_DEVICE_MESSAGES)
    // With more messages than fit, the answer ends at its last one and the next continues there.
    const last = this.toDevice.at(-1)
    const isCut = last !== undefined && this.toDevice.length === TO_DEVICE_MESSAGES
    const position = isCut ? last.stream_id : core.stream.position
    this.typing = isCut ? (request.since?.typing ?? 0) : core.typing.position
    this.context = { core, requester, request, position, turn: new TurnBudget() }
  }

  /** Fields that every answer has. */
  head(): string {
    const { requester, position } = this.context
    const { core, userId, deviceId } = requester
    const head = `"next_batch":"s${position}_${this.typing}"`
    if (deviceId === undefined) return head
    const counts = { signed_curve25519: 0, ...core.keys.counts(userId, deviceId) }
    const fallbacks = core.keys.unusedFallback(userId, deviceId)
    const keys = `"device_one_time_keys_count":${JSON.stringify(counts)}`
    return `${head},${keys},"device_unused_fallback_key_types":${JSON.stringify(fallbacks)}`
  }

  /** Fields present only when they hold something, each after a comma. */
  async *sections(): Pieces {
    const { requester, request, turn, position } = this.context
    const accountData = await changedAccountData(this.context)
    yield* roomSections(this.context, accountData)
    yield* globalAccountData(this.context, accountData.get(0) ?? [])
    if (this.toDevice.length > 0)
      yield* enclosed(',"to_device":{"events":[', this.toDevice.map(toDeviceText), ']}')
    if (!request.since) return
    const changes = changedUsers(requester, { from: request.since.position, to: position }, turn)
    yield* field(',"device_lists":{"changed":[', changes, '],"left":[]}')
  }
}

function toDeviceText({ sender, type, content }: ToDeviceRow): string {
  return `{"sender":${JSON.stringify(sender)},"type":${JSON.stringify(type)},"content":${content}}`
}

/** Yields the items between head and tail, or nothing when there are none. */
async function* field(head: string, items: Pieces, tail: string): Pieces {
  const first = await items.next()
  if (first.done) return
  yield head + first.value
  for await (const item of items) yield `,${item}`
  yield tail
}

const PAGE = 500

async function changedAccountData({
  core,
  requester,
  request,
  turn,
}: SyncContext): Promise<AccountDataByRoom> {
  const byRoom: AccountDataByRoom = new Map()
  const read = (after: number, limit: number) => core.users.accountDataSince(requester.userId, after, limit)
  const start = request.since?.position ?? 0
  for await (const page of pagesOf({ read, placeOf: row => row.stream_id, start, size: PAGE }, turn))
    for (const row of page) {
      const ofRoom = byRoom.get(row.room)
      if (ofRoom) ofRoom.push(row)
      else byRoom.set(row.room, [row])
    }
  return byRoom
}

async function* globalAccountData(
  { core, requester, request, turn }: SyncContext,
  rows: AccountDataKey[],
): Pieces {
  const filter = request.filter.account_data
  async function* events(): Pieces {
    let hasRules = false
    for (const { type } of rows) {
      if (!sharesType(requester, type)) continue
      hasRules ||= type === PUSH_RULES_TYPE
      if (!allowsType(filter, type)) continue
      const content = core.users.accountData(requester.userId, 0, type)
      const isShared = requester.isPuppet && type === DIRECT_TYPE && content !== undefined
      yield accountDataText(
        type,
        isShared ? JSON.stringify(await shownDirect(requester, parseStored(content))) : content,
      )
      if (turn.isSpent) await turn.pause()
    }
    if (!request.since && !hasRules && allowsType(filter, PUSH_RULES_TYPE))
      yield accountDataText(PUSH_RULES_TYPE, JSON.stringify(PUSH_RULES))
  }
  yield* field(',"account_data":{"events":[', events(), ']}')
}

const SECTIONS = ['join', 'invite', 'knock', 'leave'] as const

async function* roomSections(context: SyncContext, accountData: AccountDataByRoom): Pieces {
  const memberships = await membershipsOf(context)
  let isOpen = false
  for (const section of SECTIONS) {
    let comma = ''
    for (const row of memberships) {
      if (context.turn.isSpent) await context.turn.pause()
      const room = sectionOf(row) === section ? roomPart(context, row, accountData) : undefined
      const first = await room?.next()
      if (!room || !first || first.done) continue
      if (comma === '') yield `${isOpen ? '},' : ',"rooms":{'}"${section}":{`
      yield comma + first.value
      yield* room
      comma = ','
      isOpen = true
    }
  }
  if (isOpen) yield '}}'
}

function sectionOf({ membership }: MembershipRow): (typeof SECTIONS)[number] {
  return membership === 'ban' ? 'leave' : membership
}

/** The room's part of the answer; undefined or empty when there is nothing to say about it. */
function roomPart(
  context: SyncContext,
  row: MembershipRow,
  accountData: AccountDataByRoom,
): Pieces | undefined {
  const { since, fullState, filter } = context.request
  const isNew = row.stream_id > (since?.position ?? 0)
  switch (sectionOf(row)) {
    case 'join':
      return joinedRoom(context, row, accountData.get(row.room) ?? [])
    case 'leave':
      return (since ? isNew : filter.room?.include_leave) ? leftRoom(context, row) : undefined
    default:
      return isNew || fullState ? strangerRoom(context, row) : undefined
  }
}

/** The user's rooms, with their memberships as of the answer's position. */
async function membershipsOf(context: SyncContext): Promise<MembershipRow[]> {
  const { core, requester, request, position, turn } = context
  const byRoom = new Map<number, MembershipRow>()
  const read = (after: { membership: string; room: number }, limit: number) =>
    core.events.membershipsOf(requester.userId, after.membership, after.room, limit)
  const start = { membership: '', room: 0 }
  for await (const page of pagesOf({ read, placeOf: row => row, start, size: PAGE }, turn))
    for (const row of page) {
      const then = row.stream_id <= position ? row : membershipThen(context, row)
      const isWanted =
        allowsRoom(request.filter.room, row.room_id) && (await speaksInStored(requester, row.room_id))
      if (then && isWanted) byRoom.set(row.room, then)
      if (turn.isSpent) await turn.pause()
    }
  return [...byRoom.values()]
}

function membershipThen(
  { core, requester, position }: SyncContext,
  row: MembershipRow,
): MembershipRow | undefined {
  const event = core.events.stateAt(row.room, 'm.room.member', requester.userId, position)
  if (!event) return undefined
  const { membership } = parseStored(event.content)
  return { ...row, membership: membership as MembershipRow['membership'], stream_id: event.stream_id }
}
