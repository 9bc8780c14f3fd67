/** One write. Only this file appends events to rooms. */

import type { Clock } from '../lib/clock.ts'
import type { Appservices } from './appservices/appservices.ts'
import { forbidden, notFound, tooLarge } from './errors.ts'
import { eventIdAt } from './identifiers.ts'
import { isObject, type JsonObject, parseStored } from './json.ts'
import { MAX_EVENT_BYTES, MAX_ID_BYTES, MAX_MEMBERS } from './limits.ts'
import { refusal } from './rooms/auth-rules.ts'
import type { EventRow, Membership } from './rooms/events.ts'
import { isPresent, mergeInterest, type RoomState } from './rooms/room-state.ts'
import type { Rooms, Taken } from './rooms/rooms.ts'
import type { EventStore } from './store/events.ts'
import type { UserStore } from './store/users.ts'
import type { Stream } from './stream.ts'

/** The parts of Core that a write uses. */
export interface TxCore {
  readonly events: EventStore
  readonly users: UserStore
  readonly rooms: Rooms
  readonly appservices: Appservices
  readonly stream: Stream
  readonly clock: Clock
}

/** An event to be appended. */
export interface Draft {
  type: string
  sender: string
  content: JsonObject
  stateKey?: string
  originServerTs?: number | undefined
  redacts?: string
  txn?: { scope: string; id: string }
  /** An event of a batch. */
  batch?: FromBatch
}

/** How an event of a batch differs from one that is sent by itself. */
export interface FromBatch {
  eventId: string
  /** Its position, when it is from before all that the room has. */
  place: number | null
  /** True when nobody is to be told of it as news. */
  isHistory: boolean
  /** The appservices that get it. */
  interest: string | null
}

export interface Appended {
  room: RoomState
  position: number
  eventId: string
  stateKey: string | null
  interest: string | null
}

export class Tx {
  lastStreamId = 0
  readonly appended: Appended[] = []
  /** Users to wake for something other than an event. */
  readonly wakes = new Set<string>()
  /** Rooms whose members and appservices to wake for something other than an event. */
  readonly roomWakes = new Set<string>()

  constructor(
    private readonly core: TxCore,
    readonly taken: Taken,
  ) {}

  nextStreamId(): number {
    this.lastStreamId = this.core.stream.next()
    return this.lastStreamId
  }

  /** The room for a send, which changes no state. */
  room(roomId: string): RoomState {
    const room = this.core.rooms.read(roomId)
    if (!room) throw notFound('Unknown room')
    return room
  }

  /** The room for a change of its state. */
  takeRoom(roomId: string): RoomState {
    const room = this.core.rooms.take(roomId, this.taken)
    if (!room) throw notFound('Unknown room')
    return room
  }

  /** Appends if the auth rules allow it, else throws M_FORBIDDEN. */
  appendAllowed(room: RoomState, draft: Draft): string {
    const reason = refusal(room, {
      type: draft.type,
      stateKey: draft.stateKey ?? null,
      sender: draft.sender,
      content: draft.content,
    })
    if (reason !== undefined) throw forbidden(reason)
    return this.append(room, draft)
  }

  /**
   * Sets a piece of state if the auth rules allow it. Keeps equal state set by the same sender.
   * @returns the id of the event that holds the state
   */
  setState(room: RoomState, draft: Draft & { stateKey: string }): string {
    const current = this.core.events.currentState(room.num, draft.type, draft.stateKey)
    if (current?.sender === draft.sender && Bun.deepEquals(parseStored(current.content), draft.content)) {
      if (room.membershipOf(draft.sender) === 'join' || draft.type === 'm.room.member')
        return current.event_id
    }
    return this.appendAllowed(room, draft)
  }

  /** Appends without checking the auth rules. */
  append(room: RoomState, draft: Draft): string {
    const { type, sender, content, stateKey = null } = draft
    const text = JSON.stringify(content)
    assertSize(type, stateKey, text)
    if (type === 'm.room.member' && isPresent(content.membership as Membership))
      if (!room.members.has(stateKey ?? '') && room.members.size >= MAX_MEMBERS)
        throw forbidden(`The room has ${MAX_MEMBERS} members, and takes no more`)
    const current = stateKey === null ? undefined : this.core.events.currentState(room.num, type, stateKey)
    const streamId = this.nextStreamId()
    const now = this.core.clock.now()
    const { eventId = eventIdAt(now), place = null, isHistory = false } = draft.batch ?? {}
    let interest = draft.batch ? draft.batch.interest : this.interestIn(room, sender)
    if (stateKey !== null) {
      const membership = type === 'm.room.member' ? (content.membership as Membership) : null
      this.core.events.setState(room.num, type, stateKey, streamId, membership)
      room.apply(type, stateKey, sender, content)
      if (membership !== null) {
        interest = this.withUser(mergeInterest(interest, room.interest), stateKey)
      }
    }
    const relation = isObject(content['m.relates_to']) ? content['m.relates_to'] : undefined
    this.core.events.insert({
      stream_id: streamId,
      event_id: eventId,
      room: room.num,
      type,
      state_key: stateKey,
      sender,
      origin_server_ts: draft.originServerTs ?? now,
      content: text,
      replaces: current?.stream_id ?? null,
      redacts: draft.redacts ?? null,
      relates_to: typeof relation?.event_id === 'string' ? relation.event_id : null,
      rel_type: typeof relation?.rel_type === 'string' ? relation.rel_type : null,
      txn_scope: draft.txn?.scope ?? null,
      txn_id: draft.txn?.id ?? null,
      interest,
      history_place: place,
      taken_at: draft.batch ? now : null,
      is_history: isHistory ? 1 : 0,
    })
    this.appended.push({ room, position: place ?? streamId, eventId, stateKey, interest })
    return eventId
  }

  /** The room's interest includes a member's appservices; a new room's creator isn't a member. */
  private interestIn(room: RoomState, sender: string): string | null {
    return room.membershipOf(sender) === 'join' ? room.interest : this.withUser(room.interest, sender)
  }

  private withUser(interest: string | null, userId: string): string | null {
    return mergeInterest(interest, this.core.appservices.numsOfUser(userId).join(',') || null)
  }

  /** Empties the target's content. */
  redact(room: RoomState, target: EventRow, content: JsonObject, redactionId: string): void {
    const redaction = this.core.events.byId(redactionId)
    if (redaction) this.core.events.redact(JSON.stringify(content), redaction.stream_id, target.stream_id)
    const { type, state_key: stateKey } = target
    if (stateKey === null) return
    const current = this.core.events.currentState(room.num, type, stateKey)
    if (current?.stream_id === target.stream_id) room.apply(type, stateKey, target.sender, content)
  }

  putAccountData(userId: string, room: number, type: string, content: JsonObject): void {
    this.core.users.putAccountData(userId, room, type, JSON.stringify(content), this.nextStreamId())
    this.wakes.add(userId)
  }
}

function assertSize(type: string, stateKey: string | null, content: string): void {
  if (Buffer.byteLength(type) > MAX_ID_BYTES) throw tooLarge('The event type is longer than 255 bytes')
  if (stateKey !== null && Buffer.byteLength(stateKey) > MAX_ID_BYTES)
    throw tooLarge('The state key is longer than 255 bytes')
  // Other fields take under 1,500 bytes; UTF-8 takes at most 3 bytes per UTF-16 unit.
  const room = MAX_EVENT_BYTES - 1500
  if (content.length * 3 > room && Buffer.byteLength(content) > room)
    throw tooLarge('The event is larger than 65,536 bytes')
}
