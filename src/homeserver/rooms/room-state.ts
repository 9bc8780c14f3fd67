/** One room's state in memory, as the auth rules and the pushing need it. */
import type { Appservices } from '../appservices/appservices.ts'
import { isObject, type JsonObject } from '../json.ts'
import type { EventStore } from '../store/events.ts'
import { type AuthState, PowerLevels } from './auth-rules.ts'
import type { Membership } from './events.ts'

/** State types RoomState keeps besides memberships. */
export const KEPT_TYPES = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
] as const

/** The parts that a room's state looks things up in. */
export interface RoomSources {
  readonly events: EventStore
  readonly appservices: Appservices
}

export class RoomState implements AuthState {
  creator = ''
  joinRule = ''
  historyVisibility = 'shared'
  power = new PowerLevels(undefined, '')
  /** Users present, invited or knocking. Those who left or are banned are looked up when needed. */
  readonly members = new Map<string, Membership>()
  private allowedRooms: string[] = []
  /** Number of joined users of each appservice. */
  private readonly present = new Map<number, number>()
  /** undefined: must be computed again. */
  private interested: string | null | undefined

  constructor(
    readonly num: number,
    readonly roomId: string,
    readonly version: string,
    private readonly sources: RoomSources,
    /** True while nobody has left or is banned, so that no look-up is needed. */
    private isNew = false,
  ) {}

  membershipOf(userId: string): Membership | undefined {
    const present = this.members.get(userId)
    return present ?? (this.isNew ? undefined : this.sources.events.membershipIn(this.roomId, userId))
  }

  /** Doesn't look at the database. */
  isJoined(userId: string): boolean {
    return this.members.get(userId) === 'join'
  }

  allowedByRestriction(userId: string): boolean {
    const { events } = this.sources
    return this.allowedRooms.some(roomId => events.membershipIn(roomId, userId) === 'join')
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

  setMembership(userId: string, membership: Membership): void {
    const before = this.members.get(userId)
    if (isPresent(membership)) this.members.set(userId, membership)
    else {
      this.members.delete(userId)
      this.isNew = false
    }
    const change = Number(membership === 'join') - Number(before === 'join')
    if (change === 0) return
    for (const num of this.sources.appservices.numsOfUser(userId)) {
      const count = (this.present.get(num) ?? 0) + change
      if (count > 0) this.present.set(num, count)
      else this.present.delete(num)
    }
    this.interested = undefined
  }

  /** Comma-separated numbers of appservices that get all events here; null when none does. */
  get interest(): string | null {
    if (this.interested === undefined) {
      const { appservices, events } = this.sources
      const named = appservices.numsOfRoom(this.roomId, () => events.aliasesOf(this.num))
      const nums = new Set([...this.present.keys(), ...named])
      this.interested = nums.size === 0 ? null : [...nums].sort((a, b) => a - b).join(',')
    }
    return this.interested
  }

  /** True when a user of the appservice has joined the room. */
  hasUserOf(appservice: number): boolean {
    return this.present.has(appservice)
  }

  /** Call it when the room's aliases have changed. */
  forgetInterest(): void {
    this.interested = undefined
  }
}

/** True for memberships kept in memory and counted towards the room's limit. */
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

/** Merges two interest strings. */
export function mergeInterest(a: string | null, b: string | null): string | null {
  if (a === null || a === b) return b
  if (b === null) return a
  return [...new Set([...a.split(','), ...b.split(',')])].join(',')
}
