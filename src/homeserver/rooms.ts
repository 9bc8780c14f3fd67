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
/** Memberships of all cached rooms, at 100 to 200 bytes each. */
const CACHED_MEMBERS = 400_000

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
  /**
   * Users who are here, invited or knocking. Those who have left or are banned are looked up when
   * needed.
   */
  readonly members = new Map<string, Membership>()
  private allowedRooms: string[] = []
  /** Joined users of each appservice, by its number, as of this version of the appservices. */
  private readonly present = new Map<number, number>()
  private presentVersion = -1
  /** undefined: to be put together anew. */
  private interested: string | null | undefined

  constructor(
    readonly num: number,
    readonly roomId: string,
    readonly version: string,
    private readonly rooms: Rooms,
    /** Nobody has left or is banned, so there is nobody to look up. */
    private isNew = false,
  ) {
    this.power = new PowerLevels(undefined, '')
  }

  membershipOf(userId: string): Membership | undefined {
    return this.members.get(userId) ?? (this.isNew ? undefined : this.rooms.membershipIn(this.roomId, userId))
  }

  /** Without a look at the database. */
  isJoined(userId: string): boolean {
    return this.members.get(userId) === 'join'
  }

  allowedByRestriction(userId: string): boolean {
    return this.allowedRooms.some(roomId => this.rooms.isJoined(roomId, userId))
  }

  /** Takes a state event in. */
  apply(type: string, stateKey: string, sender: string, content: JsonObject): void {
    if (type === 'm.room.member') {
      this.setMembership(stateKey, content.membership as Membership)
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

  private setMembership(userId: string, membership: Membership): void {
    const before = this.members.get(userId)
    if (isPresent(membership)) this.members.set(userId, membership)
    else {
      this.members.delete(userId)
      this.isNew = false
    }
    const change = Number(membership === 'join') - Number(before === 'join')
    if (change === 0 || this.presentVersion !== this.rooms.appservices.version) return
    for (const num of this.rooms.appservices.numsOfUser(userId)) this.countPresent(num, change)
    this.interested = undefined
  }

  private countPresent(num: number, change: number): void {
    const count = (this.present.get(num) ?? 0) + change
    if (count > 0) this.present.set(num, count)
    else this.present.delete(num)
  }

  /** Comma-separated numbers of the appservices that get every event of this room; null when there is none. */
  get interest(): string | null {
    this.findPresent()
    if (this.interested === undefined) {
      const { appservices, aliases } = this.rooms
      const named = appservices.numsOfRoom(this.roomId, () => aliases.ofRoom(this.num))
      const nums = new Set([...this.present.keys(), ...named])
      this.interested = nums.size === 0 ? null : [...nums].sort((a, b) => a - b).join(',')
    }
    return this.interested
  }

  /** True when a user of the appservice has joined the room. */
  hasUserOf(appservice: number): boolean {
    this.findPresent()
    return this.present.has(appservice)
  }

  private findPresent(): void {
    const { appservices } = this.rooms
    if (this.presentVersion === appservices.version) return
    this.present.clear()
    for (const [userId, membership] of this.members)
      if (membership === 'join') for (const num of appservices.numsOfUser(userId)) this.countPresent(num, 1)
    this.presentVersion = appservices.version
    this.interested = undefined
  }

  /** The room's names have changed. */
  forgetInterest(): void {
    this.interested = undefined
  }
}

/** True for memberships that a room keeps in memory, and that count for its limit. */
export const isPresent = (membership: Membership): boolean => membership !== 'leave' && membership !== 'ban'

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
  private readonly cache = new LruMap<string, RoomState>(Number.POSITIVE_INFINITY)
  private cachedMembers = 0
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
    if (loaded && !this.unsettled.has(roomId)) this.keep(loaded)
    return loaded
  }

  /** True when the user has joined the room, which needn't be in memory for that. */
  isJoined(roomId: string, userId: string): boolean {
    return this.membershipIn(roomId, userId) === 'join'
  }

  membershipIn(roomId: string, userId: string): Membership | undefined {
    return this.events.membershipIn(roomId, userId)
  }

  private keep(room: RoomState): void {
    this.forget(room.roomId)
    this.cache.set(room.roomId, room)
    this.cachedMembers += room.members.size
    while (this.cachedMembers > CACHED_MEMBERS || this.cache.size > CACHED_ROOMS) {
      const dropped = this.cache.dropOldest()
      if (!dropped) break
      this.cachedMembers -= dropped.members.size
    }
  }

  /** The room for a write that changes its state; `touched` is what the write must settle. */
  take(roomId: string, touched: Map<string, RoomState>): RoomState | undefined {
    const room = this.cache.get(roomId) ?? this.load(roomId)
    if (room) this.own(room, touched)
    return room
  }

  /** A room that this write makes. */
  create(num: number, roomId: string, version: string, touched: Map<string, RoomState>): RoomState {
    const room = new RoomState(num, roomId, version, this, true)
    this.own(room, touched)
    return room
  }

  private own(room: RoomState, touched: Map<string, RoomState>): void {
    this.forget(room.roomId)
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
      if (committed && entry.latest === room) this.keep(room)
    }
  }

  /** What is cached of the room is no longer right. */
  forget(roomId: string): void {
    const known = this.cache.get(roomId)
    if (!known) return
    this.cache.delete(roomId)
    this.cachedMembers -= known.members.size
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
