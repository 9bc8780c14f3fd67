/**
 * Keeps the state of rooms in use in memory for the auth rules and the pushing. A large room has
 * many members: callers that can wait prepare the room first; a work of a commit can't wait, and
 * loads it at once.
 *
 * Writes that share a commit must see each other, and a rollback must leave no trace. So a write
 * that changes a room's state takes the room out of the cache; until the write has settled, works
 * of the same transaction share the room, and everyone else reads the database.
 */
import { LRUCache } from 'lru-cache'
import { TurnBudget } from '../lib/turn-budget.ts'
import type { Appservices } from './appservices.ts'
import { type AuthState, PowerLevels } from './auth-rules.ts'
import type { EventRow, Membership } from './events.ts'
import { isObject, type JsonObject, parseStored } from './json.ts'
import type { AliasStore } from './store/aliases.ts'
import type { EventStore } from './store/events.ts'

const CACHED_ROOMS = 4000
/** Memberships in all cached rooms, at 100 to 200 bytes each. */
const CACHED_MEMBERS = 400_000
/** Members loaded or counted per step. */
const MEMBERS_PAGE = 1_000

/** State types RoomState keeps besides memberships. */
const KEPT_TYPES = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
] as const

/** Work that can pause between two steps. */
type Steps<T> = Generator<void, T>

export class RoomState implements AuthState {
  creator = ''
  joinRule = ''
  historyVisibility = 'shared'
  power: PowerLevels
  /** Users present, invited or knocking. Those who left or are banned are looked up when needed. */
  readonly members = new Map<string, Membership>()
  private allowedRooms: string[] = []
  /** Number of joined users of each appservice, valid for `presentVersion`. */
  private present = new Map<number, number>()
  private presentVersion = -1
  /** Joins and leaves since counting for `present` began. */
  private changes: [userId: string, change: number][] = []
  /** undefined: must be computed again. */
  private interested: string | null | undefined

  constructor(
    readonly num: number,
    readonly roomId: string,
    readonly version: string,
    private readonly rooms: Rooms,
    /** True while nobody has left or is banned, so that no look-up is needed. */
    private isNew = false,
  ) {
    this.power = new PowerLevels(undefined, '')
  }

  membershipOf(userId: string): Membership | undefined {
    return this.members.get(userId) ?? (this.isNew ? undefined : this.rooms.membershipIn(this.roomId, userId))
  }

  /** Doesn't look at the database. */
  isJoined(userId: string): boolean {
    return this.members.get(userId) === 'join'
  }

  allowedByRestriction(userId: string): boolean {
    return this.allowedRooms.some(roomId => this.rooms.isJoined(roomId, userId))
  }

  /** Applies a state event. */
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
    if (change === 0) return
    if (!this.isCounted) this.changes.push([userId, change])
    else this.count(this.present, userId, change)
    this.interested = undefined
  }

  private count(present: Map<number, number>, userId: string, change: number): void {
    for (const num of this.rooms.appservices.numsOfUser(userId)) {
      const count = (present.get(num) ?? 0) + change
      if (count > 0) present.set(num, count)
      else present.delete(num)
    }
  }

  /** Comma-separated numbers of appservices that get all events here; null when none does. */
  get interest(): string | null {
    finish(this.counting())
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
    finish(this.counting())
    return this.present.has(appservice)
  }

  /** True when it is known which appservices have users here. */
  get isCounted(): boolean {
    return this.presentVersion === this.rooms.appservices.version
  }

  /** Counts the users of each appservice, a page at a time. */
  *counting(): Steps<void> {
    while (!this.isCounted) {
      const { version } = this.rooms.appservices
      const present = new Map<number, number>()
      const joined = [...this.members.keys()].filter(userId => this.isJoined(userId))
      this.changes = []
      for (const [index, userId] of joined.entries()) {
        this.count(present, userId, 1)
        if (index % MEMBERS_PAGE === MEMBERS_PAGE - 1) yield
      }
      // Other code ran meanwhile: it may have counted everything or changed what to count.
      if (this.isCounted || version !== this.rooms.appservices.version) continue
      for (const [userId, change] of this.changes) this.count(present, userId, change)
      this.changes = []
      this.present = present
      this.presentVersion = version
      this.interested = undefined
    }
  }

  /** Call it when the room's aliases have changed. */
  forgetInterest(): void {
    this.interested = undefined
  }
}

/** True for memberships kept in memory and counted towards the room's limit. */
export const isPresent = (membership: Membership): boolean => membership !== 'leave' && membership !== 'ban'

/** Runs all steps at once. */
function finish<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
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

/** Merges two interest strings. */
export function mergeInterest(a: string | null, b: string | null): string | null {
  if (a === null || a === b) return b
  if (b === null) return a
  return [...new Set([...a.split(','), ...b.split(',')])].join(',')
}

interface Unsettled {
  writes: number
  latest: RoomState
  /** `Rooms.undone` when the latest was taken. */
  undone: number
}

export class Rooms {
  private readonly cache = new LRUCache<string, RoomState>({
    max: CACHED_ROOMS,
    dispose: room => {
      this.cachedMembers -= room.members.size
    },
  })
  private cachedMembers = 0
  /** Rooms whose state unsettled writes have changed, with the number of such writes. */
  private readonly unsettled = new Map<string, Unsettled>()
  /** Grows when works are undone, so that no other continues with their leftovers in memory. */
  private undone = 0
  /** Rooms being loaded, unless a write has taken them since. */
  private readonly loading = new Set<string>()
  private readonly preparing = new Map<string, Promise<void>>()

  constructor(
    private readonly events: EventStore,
    readonly aliases: AliasStore,
    readonly appservices: Appservices,
  ) {}

  /**
   * Loads the room if needed, letting other work in between.
   * @returns undefined when there is nothing to wait for
   */
  prepare(roomId: string): Promise<void> | undefined {
    const underWay = this.preparing.get(roomId)
    if (underWay || this.cache.get(roomId)?.isCounted) return underWay
    const steps = this.preparation(roomId)
    const turn = new TurnBudget()
    do if (steps.next().done) return undefined
    while (!turn.isSpent)
    const prepared = (async () => {
      do await turn.pause()
      while (!steps.next().done)
    })().finally(() => this.preparing.delete(roomId))
    this.preparing.set(roomId, prepared)
    return prepared
  }

  private *preparation(roomId: string): Steps<void> {
    if (!this.cache.get(roomId) && !this.unsettled.has(roomId)) {
      this.loading.add(roomId)
      const loaded = yield* this.stepsOfLoading(roomId)
      if (this.loading.delete(roomId) && loaded) this.keep(loaded)
    }
    yield* this.cache.get(roomId)?.counting() ?? []
  }

  /** The current room, for reading only; within a write, as the transaction sees it. */
  read(roomId: string): RoomState | undefined {
    const known = this.cache.get(roomId) ?? this.taken(roomId)
    if (known) return known
    const loaded = this.load(roomId)
    if (loaded && !this.unsettled.has(roomId)) this.keep(loaded)
    return loaded
  }

  /** True when the user has joined the room; doesn't load it. */
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
    while (this.cachedMembers > CACHED_MEMBERS && this.cache.size > 0) this.cache.pop()
  }

  /** The room for a write that changes its state; `touched` collects what the write must settle. */
  take(roomId: string, touched: Map<string, RoomState>): RoomState | undefined {
    const room = this.cache.get(roomId) ?? this.taken(roomId) ?? this.load(roomId)
    if (room) this.own(room, touched)
    return room
  }

  /** The room as left by writes of the open transaction. */
  private taken(roomId: string): RoomState | undefined {
    const entry = this.unsettled.get(roomId)
    return entry?.undone === this.undone ? entry.latest : undefined
  }

  /** Call it when works of the open transaction were undone. */
  undo(): void {
    this.undone++
  }

  /** A room created by this write. */
  create(num: number, roomId: string, version: string, touched: Map<string, RoomState>): RoomState {
    const room = new RoomState(num, roomId, version, this, true)
    this.own(room, touched)
    return room
  }

  private own(room: RoomState, touched: Map<string, RoomState>): void {
    this.forget(room.roomId)
    this.loading.delete(room.roomId)
    const { undone } = this
    const entry = this.unsettled.get(room.roomId)
    if (!entry) this.unsettled.set(room.roomId, { writes: 1, latest: room, undone })
    else {
      if (!touched.has(room.roomId)) entry.writes++
      Object.assign(entry, { latest: room, undone })
    }
    touched.set(room.roomId, room)
  }

  /** The write is over: caches the last one's room if it was committed. */
  settle(touched: Map<string, RoomState>, committed: boolean): void {
    for (const [roomId, room] of touched) {
      const entry = this.unsettled.get(roomId)
      if (!entry) continue
      if (--entry.writes > 0) continue
      this.unsettled.delete(roomId)
      if (committed && entry.latest === room && entry.undone === this.undone) this.keep(room)
    }
  }

  /** Drops a cached room that is no longer right. */
  forget(roomId: string): void {
    this.cache.delete(roomId)
  }

  private load(roomId: string): RoomState | undefined {
    return finish(this.stepsOfLoading(roomId))
  }

  private *stepsOfLoading(roomId: string): Steps<RoomState | undefined> {
    const row = this.events.roomById(roomId)
    if (!row) return undefined
    const room = new RoomState(row.room, roomId, row.version, this)
    for (const type of KEPT_TYPES) {
      const event: EventRow | undefined = this.events.currentState(row.room, type, '')
      if (event) room.apply(type, '', event.sender, parseStored(event.content))
    }
    for (let after = ''; ; ) {
      const page = this.events.members(row.room, after, MEMBERS_PAGE)
      for (const member of page) room.members.set(member.state_key, member.membership)
      const last = page.at(-1)
      if (!last || page.length < MEMBERS_PAGE) return room
      after = last.state_key
      yield
    }
  }
}
