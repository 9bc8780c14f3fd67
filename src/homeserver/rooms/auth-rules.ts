/**
 * Authorization rules of room versions 10 and 11, as far as a server without federation needs them:
 * may this sender add this event to this room now?
 * @see https://spec.matrix.org/v1.12/rooms/v11/#authorization-rules
 */

import { isObject, type Json, type JsonObject } from '../json.ts'
import type { Membership } from './events.ts'

/** Room state that the rules examine. */
export interface AuthState {
  readonly creator: string
  readonly joinRule: string
  readonly power: PowerLevels
  membershipOf(userId: string): Membership | undefined
  /** True when a restricted room admits the user because of another room. */
  allowedByRestriction(userId: string): boolean
}

export interface Candidate {
  type: string
  stateKey: string | null
  sender: string
  content: JsonObject
}

/** @returns undefined when the event is allowed, else the reason why not */
export function refusal(room: AuthState, event: Candidate): string | undefined {
  if (event.type === 'm.room.create') return 'A room is created only once'
  if (event.type === 'm.room.member') return memberRefusal(room, event)
  if (room.membershipOf(event.sender) !== 'join') return `${event.sender} is not in the room`
  const level = room.power.of(event.sender)
  const needed = room.power.toSend(event.type, event.stateKey !== null)
  if (level < needed) return `${event.type} needs power level ${needed}, ${event.sender} has ${level}`
  if (event.stateKey?.startsWith('@') && event.stateKey !== event.sender)
    return 'A state key that is a user id belongs to that user'
  if (event.type === 'm.room.power_levels') return powerRefusal(room, event, level)
  return undefined
}

function memberRefusal(room: AuthState, { sender, stateKey, content }: Candidate): string | undefined {
  const target = stateKey
  if (target === null) return 'A membership needs a state key'
  const current = room.membershipOf(target)
  const own = sender === target
  const level = room.power.of(sender)
  switch (content.membership) {
    case 'join':
      if (!own) return 'Nobody can join for somebody else'
      if (current === 'ban') return `${sender} is banned from the room`
      if (current === 'join' || current === 'invite') return undefined
      if (room.joinRule === 'public') return undefined
      if (room.allowedByRestriction(sender)) return undefined
      return 'You are not invited to this room'
    case 'invite':
      if (room.membershipOf(sender) !== 'join') return `${sender} is not in the room`
      if (current === 'join') return `${target} is already in the room`
      if (current === 'ban') return `${target} is banned from the room`
      return level < room.power.to('invite') ? `${sender} may not invite` : undefined
    case 'leave':
      if (own)
        return current === 'join' || current === 'invite' || current === 'knock'
          ? undefined
          : `${sender} is not in the room`
      if (room.membershipOf(sender) !== 'join') return `${sender} is not in the room`
      if (current === 'ban' && level < room.power.to('ban')) return `${sender} may not unban`
      return level < room.power.to('kick') || level <= room.power.of(target)
        ? `${sender} may not kick ${target}`
        : undefined
    case 'ban':
      if (room.membershipOf(sender) !== 'join') return `${sender} is not in the room`
      return level < room.power.to('ban') || level <= room.power.of(target)
        ? `${sender} may not ban ${target}`
        : undefined
    case 'knock':
      if (!own) return 'Nobody can knock for somebody else'
      if (room.joinRule !== 'knock' && room.joinRule !== 'knock_restricted')
        return 'This room takes no knocks'
      return current === 'ban' || current === 'join' || current === 'invite'
        ? `${sender} can't knock now`
        : undefined
    default:
      return 'Unknown membership'
  }
}

const LEVEL_FIELDS = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite']

/** Nobody may grant or revoke more power than they have. */
function powerRefusal(room: AuthState, { sender, content }: Candidate, level: number): string | undefined {
  for (const field of LEVEL_FIELDS)
    if (content[field] !== undefined && !Number.isSafeInteger(content[field]))
      return `${field} must be an integer`
  for (const field of ['users', 'events', 'notifications']) {
    const map = content[field]
    if (
      map !== undefined &&
      (!isObject(map) || Object.values(map).some(value => !Number.isSafeInteger(value)))
    )
      return `${field} must map to integers`
  }
  const before = room.power.content
  if (before === undefined) return undefined
  for (const field of LEVEL_FIELDS)
    if (exceeds(before[field], content[field], level)) return `${sender} may not change ${field}`
  for (const field of ['events', 'notifications', 'users']) {
    const old = mapOf(before[field])
    const next = mapOf(content[field])
    for (const key of new Set([...Object.keys(old), ...Object.keys(next)])) {
      if (exceeds(old[key], next[key], level)) return `${sender} may not change the level of ${key}`
      const equal = field === 'users' && key !== sender && old[key] !== next[key] && old[key] === level
      if (equal) return `${sender} may not change the level of ${key}`
    }
  }
  return undefined
}

function exceeds(before: Json | undefined, after: Json | undefined, level: number): boolean {
  if (before === after) return false
  return (typeof before === 'number' && before > level) || (typeof after === 'number' && after > level)
}

function mapOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {}
}

/** A m.room.power_levels content with its defaults (Matrix v1.12, m.room.power_levels). */
export class PowerLevels {
  private readonly levels: JsonObject

  constructor(
    readonly content: JsonObject | undefined,
    private readonly creator: string,
  ) {
    this.levels = content ?? { state_default: 0 }
  }

  of(userId: string): number {
    if (this.content === undefined) return userId === this.creator ? 100 : 0
    return level(mapOf(this.levels.users)[userId], level(this.levels.users_default, 0))
  }

  toSend(type: string, isState: boolean): number {
    const fallback = isState ? level(this.levels.state_default, 50) : level(this.levels.events_default, 0)
    return level(mapOf(this.levels.events)[type], fallback)
  }

  to(action: 'invite' | 'kick' | 'ban' | 'redact'): number {
    return level(this.levels[action], action === 'invite' ? 0 : 50)
  }
}

function level(value: Json | undefined, fallback: number): number {
  return typeof value === 'number' ? value : fallback
}
