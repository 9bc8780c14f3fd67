/** Past events of a room that a user may see, and the state at that time. */
import { pagesOf } from '../../lib/pages.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { Call, Requester } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, notFound } from '../errors.ts'
import { parseStored } from '../json.ts'
import type { StateKey } from '../store/events.ts'
import { type EventRow, type Membership, strippedEventText } from './events.ts'
import type { RoomState } from './room-state.ts'

const NOW = Number.MAX_SAFE_INTEGER
const NEVER = Number.NEGATIVE_INFINITY

/** History has no state of its own time, and is shown with that of now. */
export const statePosition = (position: number): number => (position < 0 ? NOW : position)

/** One piece of state over time. Consecutive look-ups mostly fall between the same two changes. */
class StateTimeline<T> {
  private from = Number.POSITIVE_INFINITY
  private until = 0
  private value: T | undefined

  constructor(
    private readonly core: Core,
    private readonly room: number,
    private readonly type: string,
    private readonly stateKey: string,
    private readonly read: (event: EventRow) => T,
  ) {}

  /** Value after the event at `position`. */
  at(eventPosition: number): T | undefined {
    const position = statePosition(eventPosition)
    if (position < this.from || position >= this.until) this.look(position)
    return this.value
  }

  private look(position: number): void {
    const { events } = this.core
    const event = events.stateAt(this.room, this.type, this.stateKey, position)
    this.from = event?.stream_id ?? 0
    this.until = events.stateAfter(this.room, this.type, this.stateKey, position) ?? Number.POSITIVE_INFINITY
    this.value = event && this.read(event)
  }
}

const STATE_PAGE = 200
type StatePlace = Pick<StateKey, 'type' | 'state_key'>

/** Selects a part of a room's state. */
export interface StateWish {
  /** State after this position; by default now. */
  position?: number
  /** Only state changed after this position. */
  since?: number
  /** Only of this type. */
  type?: string
  wants?: (key: StatePlace) => boolean
}

/** Yields the room's state piece by piece, as it may be large; a small room's in order. */
export async function* stateOf(
  { core, room: { num: room }, turn }: Pick<RoomView, 'core' | 'room' | 'turn'>,
  { position = NOW, since = 0, type, wants = () => true }: StateWish = {},
): AsyncGenerator<EventRow, void> {
  // Paging starts after the empty key, so a single type yields that one first.
  if (type !== undefined) {
    const first = core.events.stateAt(room, type, '', position)
    if (first && first.stream_id > since && wants({ type, state_key: '' })) yield first
  }
  const read = (after: StatePlace, limit: number) => core.events.stateKeys({ ...after, room, limit })
  const start = { type: type ?? '', state_key: '' }
  for await (const page of pagesOf({ read, placeOf: key => key, start, size: STATE_PAGE }, turn)) {
    for (const key of page.toSorted((a, b) => a.stream_id - b.stream_id)) {
      if (type !== undefined && key.type !== type) continue
      // A key that changed between the two positions has changed after the first, too.
      if (key.stream_id <= since || !wants(key)) continue
      const row =
        key.stream_id <= position
          ? core.events.at(key.stream_id)
          : core.events.stateAt(room, key.type, key.state_key, position)
      if (row && row.stream_id > since) yield row
      if (turn.isSpent) await turn.pause()
    }
    if (type !== undefined && page.at(-1)?.type !== type) return
  }
}

/** One user's view of one room. */
export class RoomView {
  readonly core: Core
  readonly userId: string
  private readonly memberships: StateTimeline<Membership>
  private readonly visibilities: StateTimeline<unknown>
  private lastIn: number | undefined

  constructor(
    readonly requester: Requester,
    readonly room: RoomState,
    readonly turn = new TurnBudget(),
  ) {
    const { core, userId } = requester
    this.core = core
    this.userId = userId
    this.memberships = new StateTimeline(core, room.num, 'm.room.member', userId, membershipIn)
    this.visibilities = new StateTimeline(
      core,
      room.num,
      'm.room.history_visibility',
      '',
      event => parseStored(event.content).history_visibility,
    )
  }

  /** The user's membership after `position`. */
  membershipAt(position: number): Membership | undefined {
    return this.memberships.at(position)
  }

  /** @see https://spec.matrix.org/v1.12/client-server-api/#server-behaviour-8 */
  sees(event: EventRow): boolean {
    if (event.type === 'm.room.member' && event.state_key === this.userId) return true
    const before = this.membershipAt(event.position - 1)
    if (before === 'join') return true
    switch (this.visibilities.at(event.position)) {
      case 'world_readable':
        return true
      case 'joined':
        return this.membershipAt(event.position) === 'join'
      case 'invited':
        return ['invite', 'join'].includes(this.membershipAt(event.position) ?? before ?? '')
      default:
        return this.joinsAfter(event.position)
    }
  }

  /** True when the user was in the room at `position` or joined later. */
  private joinsAfter(position: number): boolean {
    if (this.room.membershipOf(this.userId) === 'join') return true
    this.lastIn ??= lastPositionIn(this.core, this.room.num, this.userId)
    return this.lastIn >= position
  }

  /**
   * Position up to which the user may read: no limit for members, the departure for those who left.
   * Throws M_FORBIDDEN for everyone else.
   */
  readableUpTo(): number {
    const membership = this.room.membershipOf(this.userId)
    if (membership === 'join') return NOW
    if (this.room.historyVisibility === 'world_readable') return NOW
    const left = membership === 'leave' || membership === 'ban'
    if (left && !this.core.users.hasForgotten(this.userId, this.room.num) && this.everJoined) {
      const departure = this.core.events.currentState(this.room.num, 'm.room.member', this.userId)
      if (departure) return departure.stream_id
    }
    throw forbidden(`${this.userId} is not in the room`)
  }

  /** Like `readableUpTo`, but no further than what is on disk. */
  readable(): number {
    return Math.min(this.readableUpTo(), this.core.stream.position)
  }

  /** True when the user was ever a member. */
  get everJoined(): boolean {
    return this.joinsAfter(0)
  }
}

function membershipIn(event: EventRow): Membership {
  return parseStored(event.content).membership as Membership
}

/** Most changes of a membership searched for the last stay. */
const MAX_CHANGES = 1_000

/** Last position at which the user was in the room. */
function lastPositionIn(core: Core, room: number, userId: string): number {
  let end = NOW
  for (let changes = 0; changes < MAX_CHANGES; changes++) {
    const event = core.events.stateAt(room, 'm.room.member', userId, end)
    if (!event) return NEVER
    if (membershipIn(event) === 'join') return end
    end = event.stream_id - 1
  }
  return NEVER
}

/** Endpoint's view of a room. An unknown room looks like one the user isn't in. */
export function viewRoom(call: Call): RoomView {
  const room = call.core.rooms.read(call.params.roomId ?? '')
  if (!room) throw forbidden(`${call.userId} is not in the room`)
  return new RoomView(call, room)
}

/** An event of the room visible to the user, else M_NOT_FOUND. */
export function visibleEvent(view: RoomView, eventId: string): EventRow {
  const limit = view.readableUpTo()
  const event = view.core.events.byId(eventId)
  if (!event || event.room !== view.room.num || event.position > limit || !view.sees(event))
    throw notFound('Unknown event')
  return event
}

const PREVIEWED = 'create join_rules canonical_alias avatar name topic encryption'.split(' ')

/**
 * JSON list of the state an invited user is shown, as of the invite.
 * @see https://spec.matrix.org/v1.12/client-server-api/#stripped-state
 */
export function invitePreview({ events }: Core, invite: EventRow): string {
  const { room, stream_id: position } = invite
  const shown = PREVIEWED.map(name => events.stateAt(room, `m.room.${name}`, '', position))
  const inviter = events.stateAt(room, 'm.room.member', invite.sender, position)
  const texts = [...shown, inviter, invite].flatMap(event => (event ? [strippedEventText(event)] : []))
  return `[${texts.join(',')}]`
}
