/**
 * The state of rooms as the auth rules and the pushing need it, in memory for rooms in use. Members
 * of a large one are many: whoever can wait prepares the room first, so that it is there when it is
 * read; a work of a commit, which can't wait, loads it at once if it must.
 *
 * Writes that share a commit must see each other, and one that is rolled back must leave no trace. So a write that changes a
 * room's state takes the room out of the cache; until it has settled, those of the same transaction share it, and everyone
 * else reads the database.
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
/** Memberships of all cached rooms, at 100 to 200 bytes each. */
const CACHED_MEMBERS = 400_000
/** Members that are loaded or counted in one go. */
const MEMBERS_PAGE = 1_000

/** State types that RoomState keeps besides memberships. */
const KEPT_TYPES = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
] as const

/** Work that can be left off between two steps. */
type Steps<T> = Generator<void, T>

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
  private present = new Map<number, number>()
  private presentVersion = -1
  /** Changes of who has joined since a count of `present` began. */
  private changes: [userId: string, change: number][] = []
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

  /** Comma-separated numbers of the appservices that get every event of this room; null when there is none. */
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
      // Others were let in meanwhile, who may have counted all, or changed what is to be counted.
      if (this.isCounted || version !== this.rooms.appservices.version) continue
      for (const [userId, change] of this.changes) this.count(present, userId, change)
      this.changes = []
      this.present = present
      this.presentVersion = version
      this.interested = undefined
    }
  }

  /** The room's names have changed. */
  forgetInterest(): void {
    this.interested = undefined
  }
}

/** True for memberships that a room keeps in memory, and that count for its limit. */
export const isPresent = (membership: Membership): boolean => membership !== 'leave' && membership !== 'ban'

/** Does all of it at once. */
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

/** `a` and `b` as interest strings put together. */
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
  /** Rooms whose state a write that hasn't settled has changed, with how many such writes there are. */
  private readonly unsettled = new Map<string, Unsettled>()
  /** Grows when works are undone, so that no other goes on with what they have left in memory. */
  private undone = 0
  /** Rooms that are being loaded, unless a write has taken them since. */
  private readonly loading = new Set<string>()
  private readonly preparing = new Map<string, Promise<void>>()

  constructor(
    private readonly events: EventStore,
    readonly aliases: AliasStore,
    readonly appservices: Appservices,
  ) {}

  /**
   * Loads the room, if it has to be, with others let in between.
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

  /** The room as it is now (within a write: as the transaction sees it). For reading only. */
  read(roomId: string): RoomState | undefined {
    const known = this.cache.get(roomId) ?? this.taken(roomId)
    if (known) return known
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
    while (this.cachedMembers > CACHED_MEMBERS && this.cache.size > 0) this.cache.pop()
  }

  /** The room for a write that changes its state; `touched` is what the write must settle. */
  take(roomId: string, touched: Map<string, RoomState>): RoomState | undefined {
    const room = this.cache.get(roomId) ?? this.taken(roomId) ?? this.load(roomId)
    if (room) this.own(room, touched)
    return room
  }

  /** The room as writes of the transaction under way have left it. */
  private taken(roomId: string): RoomState | undefined {
    const entry = this.unsettled.get(roomId)
    return entry?.undone === this.undone ? entry.latest : undefined
  }

  /** Works of the transaction under way were undone. */
  undo(): void {
    this.undone++
  }

  /** A room that this write makes. */
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

  /** The write is over: the last one's room may be cached, if it was committed. */
  settle(touched: Map<string, RoomState>, committed: boolean): void {
    for (const [roomId, room] of touched) {
      const entry = this.unsettled.get(roomId)
      if (!entry) continue
      if (--entry.writes > 0) continue
      this.unsettled.delete(roomId)
      if (committed && entry.latest === room && entry.undone === this.undone) this.keep(room)
    }
  }

  /** What is cached of the room is no longer right. */
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
