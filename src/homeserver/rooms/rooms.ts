/**
 * Keeps rooms in use in memory. A large room has many members: callers that can wait prepare the
 * room first; a work of a commit can't wait, and loads it at once.
 *
 * Writes that share a commit must see each other, and a rollback must leave no trace. So a write
 * that changes a room's state takes the room out of the cache; until the last write that took it
 * has settled, works of the same transaction share the room, and everyone else reads the database.
 */
import { LRUCache } from 'lru-cache'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { parseStored } from '../json.ts'
import { KEPT_TYPES, type RoomSources, RoomState } from './room-state.ts'

const CACHED_ROOMS = 4000
/** Memberships in all cached rooms, at 100 to 200 bytes each. */
const CACHED_MEMBERS = 400_000
/** Members loaded per step. */
const MEMBERS_PAGE = 500

/** Work that can pause between two steps. */
type Steps<T> = Generator<void, T>

/** Ids of the rooms that one write has taken. */
export type Taken = Set<string>

/** A room as its last write left it. */
interface Unsettled {
  room: RoomState
  by: Taken
  /** `Rooms.generation` when it was taken. */
  generation: number
}

export class Rooms {
  private readonly cache = new LRUCache<string, RoomState>({
    max: CACHED_ROOMS,
    dispose: room => {
      this.cachedMembers -= room.members.size
    },
  })
  private cachedMembers = 0
  /** Rooms whose state unsettled writes have changed. */
  private readonly unsettled = new Map<string, Unsettled>()
  /** Grows when rooms in memory are no longer right, so that nobody continues with them. */
  private generation = 0
  /** Rooms being loaded, unless a write has taken them since. */
  private readonly loading = new Set<string>()
  private readonly preparing = new Map<string, Promise<void>>()

  constructor(private readonly sources: RoomSources) {
    sources.appservices.onChange = () => this.startAnew()
  }

  /** Rooms count the users of each appservice: they do so again as they are loaded. */
  private startAnew(): void {
    this.generation++
    this.loading.clear()
    this.cache.clear()
  }

  /**
   * Loads the room if needed, letting other work in between.
   * @returns undefined when there is nothing to wait for
   */
  prepare(roomId: string): Promise<void> | undefined {
    const underWay = this.preparing.get(roomId)
    if (underWay || this.cache.get(roomId)) return underWay
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
    // Other code runs between steps: a write may take the room, appservices may change.
    while (!this.cache.has(roomId) && !this.unsettled.has(roomId)) {
      this.loading.add(roomId)
      const loaded = yield* this.stepsOfLoading(roomId)
      if (this.loading.delete(roomId) && loaded) this.keep(loaded)
      if (!loaded) return
    }
  }

  /** The current room, for reading only; within a write, as the transaction sees it. */
  read(roomId: string): RoomState | undefined {
    const known = this.cache.get(roomId) ?? this.taken(roomId)
    if (known) return known
    const loaded = this.load(roomId)
    if (loaded && !this.unsettled.has(roomId)) this.keep(loaded)
    return loaded
  }

  private keep(room: RoomState): void {
    this.cache.delete(room.roomId)
    this.cache.set(room.roomId, room)
    this.cachedMembers += room.members.size
    while (this.cachedMembers > CACHED_MEMBERS && this.cache.size > 0) this.cache.pop()
  }

  /** The room for a write that changes its state. */
  take(roomId: string, by: Taken): RoomState | undefined {
    const room = this.cache.get(roomId) ?? this.taken(roomId) ?? this.load(roomId)
    if (room) this.own(room, by)
    return room
  }

  /** The room as left by writes of the open transaction. */
  private taken(roomId: string): RoomState | undefined {
    const entry = this.unsettled.get(roomId)
    return entry?.generation === this.generation ? entry.room : undefined
  }

  /** Call it when works of the open transaction were undone. */
  undo(): void {
    this.generation++
  }

  /** A room created by this write. */
  create(num: number, roomId: string, version: string, by: Taken): RoomState {
    const room = new RoomState(num, roomId, version, this.sources, true)
    this.own(room, by)
    return room
  }

  private own(room: RoomState, by: Taken): void {
    this.cache.delete(room.roomId)
    this.loading.delete(room.roomId)
    this.unsettled.set(room.roomId, { room, by, generation: this.generation })
    by.add(room.roomId)
  }

  /** The write is over: caches the rooms that no later write has taken, if it was committed. */
  settle(by: Taken, committed: boolean): void {
    for (const roomId of by) {
      const entry = this.unsettled.get(roomId)
      if (entry?.by !== by) continue
      this.unsettled.delete(roomId)
      if (committed && entry.generation === this.generation) this.keep(entry.room)
    }
  }

  /** Loads the room at once. */
  private load(roomId: string): RoomState | undefined {
    const steps = this.stepsOfLoading(roomId)
    let step = steps.next()
    while (!step.done) step = steps.next()
    return step.value
  }

  private *stepsOfLoading(roomId: string): Steps<RoomState | undefined> {
    const { events } = this.sources
    const row = events.roomById(roomId)
    if (!row) return undefined
    const room = new RoomState(row.room, roomId, row.version, this.sources)
    for (const type of KEPT_TYPES) {
      const event = events.currentState(row.room, type, '')
      if (event) room.apply(type, '', event.sender, parseStored(event.content))
    }
    for (let after = ''; ; ) {
      const page = events.members(row.room, after, MEMBERS_PAGE)
      for (const member of page) room.setMembership(member.state_key, member.membership)
      const last = page.at(-1)
      if (!last || page.length < MEMBERS_PAGE) return room
      after = last.state_key
      yield
    }
  }
}
