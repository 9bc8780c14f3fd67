/**
 * What a user may see of a room's past, and how the state was then. Each state event knows the one that it replaced, so the
 * state at any position is found by walking back from the current one.
 */
import type { Core } from './core.ts'
import { forbidden, notFound } from './errors.ts'
import { type EventRow, type Membership, strippedEvent } from './events.ts'
import { type JsonObject, parseStored } from './json.ts'
import type { RoomState } from './rooms.ts'

/** A piece of state over time, newest first, read as far as it is asked for. */
class StateTimeline {
  private readonly known: EventRow[] = []
  private complete = false

  constructor(
    private readonly core: Core,
    current: EventRow | undefined,
  ) {
    if (current) this.known.push(current)
    else this.complete = true
  }

  /** What held after `position`. */
  at(position: number): EventRow | undefined {
    for (let index = 0; ; index++) {
      const event = this.known[index] ?? this.older()
      if (!event || event.stream_id <= position) return event
    }
  }

  private older(): EventRow | undefined {
    if (this.complete) return undefined
    const replaces = this.known.at(-1)?.replaces ?? null
    const event = replaces === null ? undefined : this.core.events.at(replaces)
    if (event) this.known.push(event)
    else this.complete = true
    return event
  }
}

/** The room's state as it was after `position`. */
export function stateAt(core: Core, room: number, position: number): EventRow[] {
  return core.events.state(room).flatMap(current => {
    const then = current.stream_id <= position ? current : new StateTimeline(core, current).at(position)
    return then ? [then] : []
  })
}

/** One piece of state as it was after `position`. */
export function stateEventAt(
  core: Core,
  room: number,
  type: string,
  stateKey: string,
  position: number,
): EventRow | undefined {
  return new StateTimeline(core, core.events.currentState(room, type, stateKey)).at(position)
}

/** One user's view of one room. */
export class RoomView {
  private readonly memberships: StateTimeline
  private readonly visibilities: StateTimeline

  constructor(
    private readonly core: Core,
    readonly room: RoomState,
    readonly userId: string,
  ) {
    this.memberships = new StateTimeline(core, core.events.currentState(room.num, 'm.room.member', userId))
    this.visibilities = new StateTimeline(
      core,
      core.events.currentState(room.num, 'm.room.history_visibility', ''),
    )
  }

  /** The user's membership after `position`. */
  membershipAt(position: number): Membership | undefined {
    const event = this.memberships.at(position)
    return event && (parseStored(event.content).membership as Membership)
  }

  /** @see https://spec.matrix.org/v1.12/client-server-api/#server-behaviour-8 */
  sees(event: EventRow): boolean {
    if (event.type === 'm.room.member' && event.state_key === this.userId) return true
    const before = this.membershipAt(event.stream_id - 1)
    if (before === 'join') return true
    const shown = this.visibilities.at(event.stream_id)
    const visibility = shown ? parseStored(shown.content).history_visibility : 'shared'
    switch (visibility) {
      case 'world_readable':
        return true
      case 'joined':
        return this.membershipAt(event.stream_id) === 'join'
      case 'invited':
        return ['invite', 'join'].includes(this.membershipAt(event.stream_id) ?? before ?? '')
      default:
        return this.joinsAfter(event.stream_id)
    }
  }

  /** True when the user was in the room at `position` or came in later. */
  private joinsAfter(position: number): boolean {
    if (this.room.membershipOf(this.userId) === 'join') return true
    for (let at = Number.MAX_SAFE_INTEGER; at >= position; ) {
      const event = this.memberships.at(at)
      if (!event) return false
      if (parseStored(event.content).membership === 'join') return true
      at = event.stream_id - 1
    }
    return false
  }

  /**
   * The position up to which the user may read: endless for members, the departure for those who left.
   * Throws M_FORBIDDEN for everyone else.
   */
  readableUpTo(): number {
    const membership = this.room.membershipOf(this.userId)
    if (membership === 'join') return Number.MAX_SAFE_INTEGER
    if (this.room.historyVisibility === 'world_readable') return Number.MAX_SAFE_INTEGER
    const current = this.memberships.at(Number.MAX_SAFE_INTEGER)
    const left = membership === 'leave' || membership === 'ban'
    const forgotten = this.core.users.hasForgotten(this.userId, this.room.num)
    if (left && current && !forgotten && this.joinsAfter(0)) return current.stream_id
    throw forbidden(`${this.userId} is not in the room`)
  }

  /** True when the user was a member at any time. */
  get everJoined(): boolean {
    return this.joinsAfter(0)
  }
}

/** The user's view of a room, for an endpoint. An unknown room looks like one that the user isn't in. */
export function viewRoom(core: Core, roomId: string, userId: string): RoomView {
  const room = core.rooms.read(roomId)
  if (!room) throw forbidden(`${userId} is not in the room`)
  return new RoomView(core, room, userId)
}

/** An event of the room that the user sees, else M_NOT_FOUND. */
export function visibleEvent(view: RoomView, core: Core, eventId: string): EventRow {
  const limit = view.readableUpTo()
  const event = core.events.byId(eventId)
  if (!event || event.room !== view.room.num || event.stream_id > limit || !view.sees(event))
    throw notFound('Unknown event')
  return event
}

const PREVIEW_TYPES = [
  'm.room.create',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.avatar',
  'm.room.name',
  'm.room.topic',
  'm.room.encryption',
]

/** What an invited user is shown of the room, as it was at the invite. @see https://spec.matrix.org/v1.12/client-server-api/#stripped-state */
export function invitePreview(core: Core, invite: EventRow): JsonObject[] {
  const position = invite.stream_id
  const inviter = stateEventAt(core, invite.room, 'm.room.member', invite.sender, position)
  const events = PREVIEW_TYPES.map(type => stateEventAt(core, invite.room, type, '', position))
  return [...events, inviter, invite].flatMap(event => (event ? [strippedEvent(event)] : []))
}
