/**
 * The state of rooms as the auth rules and the pushing need it, in memory for rooms in use.
 *
 * Writes that share a commit must see each other, and one that is rolled back must leave no trace. So a write that changes a
 * room's state takes the room out of the cache; until it has settled everyone reads the database, which within the
 * transaction shows what was written before.
 */
import type { Appservices } from './appservices.ts'
import { type AuthState, PowerLevels } from './auth-rules.ts'
import type { EventRow, Membership } from './events.ts'
import { isObject, type JsonObject, parseStored } from './json.ts'
import { LruMap } from './lru.ts'
import type { AliasStore } from './store/aliases.ts'
import type { EventStore } from './store/events.ts'

const CACHED_ROOMS = 4000

/** State types that RoomState keeps besides memberships. */
const KEPT_TYPES = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
] as const

export class RoomState implements AuthState {
  creator = ''
  joinRule = ''
  historyVisibility = 'shared'
  power: PowerLevels
  readonly members = new Map<string, Membership>()
  private allowedRooms: string[] = []
  private interestVersion = -1
  private interested: string | null = null

  constructor(
    readonly num: number,
    readonly roomId: string,
    readonly version: string,
    private readonly rooms: Rooms,
  ) {
    this.power = new PowerLevels(undefined, '')
  }

  membershipOf(userId: string): Membership | undefined {
    return this.members.get(userId)
  }

  allowedByRestriction(userId: string): boolean {
    return this.allowedRooms.some(roomId => this.rooms.read(roomId)?.membershipOf(userId) === 'join')
  }

  /** Takes a state event in. */
  apply(type: string, stateKey: string, sender: string, content: JsonObject): void {
    if (type === 'm.room.member') {
      this.members.set(stateKey, content.membership as Membership)
      this.interestVersion = -1
      return
    }
    if (stateKey !== '') return
    if (type === 'm.room.create') {
      this.creator = sender
      if (this.power.content === undefined) this.power = new PowerLevels(undefined, sender)
    } else if (type === 'm.room.power_levels') this.power = new PowerLevels(content, this.creator)
    else if (type === 'm.room.history_visibility') {
      if (typeof content.history_visibility === 'string') this.historyVisibility = content.history_visibility
    } else if (type === 'm.room.join_rules') {
      this.joinRule = typeof content.join_rule === 'string' ? content.join_rule : 'invite'
      this.allowedRooms = restrictions(this.joinRule, content)
    }
  }

  /** Comma-separated numbers of the appservices that get every event of this room; null when there is none. */
  get interest(): string | null {
    const { appservices } = this.rooms
    if (this.interestVersion === appservices.version) return this.interested
    const nums = new Set(appservices.numsOfRoom(this.roomId, () => this.rooms.aliases.ofRoom(this.num)))
    for (const [userId, membership] of this.members) {
      if (nums.size === appservices.count) break
      if (membership === 'join') for (const num of appservices.numsOfUser(userId)) nums.add(num)
    }
    this.interested = nums.size === 0 ? null : [...nums].sort((a, b) => a - b).join(',')
    this.interestVersion = appservices.version
    return this.interested
  }

  /** The room's names have changed. */
  forgetInterest(): void {
    this.interestVersion = -1
  }
}

function restrictions(joinRule: string, content: JsonObject): string[] {
  if (joinRule !== 'restricted' && joinRule !== 'knock_restricted') return []
  if (!Array.isArray(content.allow)) return []
  return content.allow.flatMap(rule =>
    isObject(rule) && rule.type === 'm.room_membership' && typeof rule.room_id === 'string'
      ? [rule.room_id]
      : [],
  )
}

/** `a` and `b` as interest strings put together. */
export function mergeInterest(a: string | null, b: string | null): string | null {
  if (a === null || a === b) return b
  if (b === null) return a
  return [...new Set([...a.split(','), ...b.split(',')])].join(',')
}

export class Rooms {
  private readonly cache = new LruMap<string, RoomState>(CACHED_ROOMS)
  /** Rooms whose state a write that hasn't settled has changed, with how many such writes there are. */
  private readonly unsettled = new Map<string, { writes: number; latest: RoomState }>()

  constructor(
    private readonly events: EventStore,
    readonly aliases: AliasStore,
    readonly appservices: Appservices,
  ) {}

  /** The room as it is now (within a write: as the transaction sees it). For reading only. */
  read(roomId: string): RoomState | undefined {
    const cached = this.cache.get(roomId)
    if (cached) return cached
    const loaded = this.load(roomId)
    if (loaded && !this.unsettled.has(roomId)) this.cache.set(roomId, loaded)
    return loaded
  }

  /** The room for a write that changes its state; `touched` is what the write must settle. */
  take(roomId: string, touched: Map<string, RoomState>): RoomState | undefined {
    const room = this.cache.get(roomId) ?? this.load(roomId)
    if (room) this.own(room, touched)
    return room
  }

  /** A room that this write makes. */
  create(num: number, roomId: string, version: string, touched: Map<string, RoomState>): RoomState {
    const room = new RoomState(num, roomId, version, this)
    this.own(room, touched)
    return room
  }

  private own(room: RoomState, touched: Map<string, RoomState>): void {
    this.cache.delete(room.roomId)
    const entry = this.unsettled.get(room.roomId)
    if (!entry) this.unsettled.set(room.roomId, { writes: 1, latest: room })
    else {
      if (!touched.has(room.roomId)) entry.writes++
      entry.latest = room
    }
    touched.set(room.roomId, room)
  }

  /** The write is over: the last one's room may be cached, if it was committed. */
  settle(touched: Map<string, RoomState>, committed: boolean): void {
    for (const [roomId, room] of touched) {
      const entry = this.unsettled.get(roomId)
      if (!entry) continue
      if (--entry.writes > 0) continue
      this.unsettled.delete(roomId)
      if (committed && entry.latest === room) this.cache.set(roomId, room)
    }
  }

  /** What is cached of the room is no longer right. */
  forget(roomId: string): void {
    this.cache.delete(roomId)
  }

  private load(roomId: string): RoomState | undefined {
    const row = this.events.roomById(roomId)
    if (!row) return undefined
    const room = new RoomState(row.room, roomId, row.version, this)
    for (const type of KEPT_TYPES) {
      const event: EventRow | undefined = this.events.currentState(row.room, type, '')
      if (event) room.apply(type, '', event.sender, parseStored(event.content))
    }
    for (const member of this.events.members(row.room)) room.members.set(member.state_key, member.membership)
    return room
  }
}
