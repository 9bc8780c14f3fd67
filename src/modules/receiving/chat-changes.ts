/**
 * Plans what becomes of a chat as a whole: its name, its topic and its picture, and who comes and
 * goes. What a chat was like when it was joined is no change.
 */
import type { Device } from '../../db/schema/index.ts'
import type { ChatUpdatedEvent, MemberEvent } from '../../domain/events.ts'
import type { MembershipChange, MembershipFact } from '../../domain/facts.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import type { ChatState, PlannedEvent } from './plan-types.ts'

/** Columns whose changes are told, by the names that clients have for them. */
const TOLD = ['name', 'topic', 'avatar'] as const

/** @returns null when nothing changes that anybody would be told of */
export function chatUpdated(
  chat: ChatState,
  columns: Partial<ChatState>,
  device: Device,
  { eventId, sentAt }: { eventId: string; sentAt: number },
): PlannedEvent | null {
  const changed = TOLD.filter(column => columns[column] !== undefined && columns[column] !== chat[column])
  if (chat.membership !== 'joined' || changed.length === 0) return null
  const payload: ChatUpdatedEvent = {
    event: 'chat.updated',
    timestamp: rfc3339(sentAt),
    ...placeOf({ ...chat, ...columns }, device),
    changed,
  }
  return plannedEvent(chat, device, eventId, payload)
}

/** A person of the network, as far as they are known. */
interface Known {
  nameOf(userId: string): string
  phoneOf(userId: string): string | null
  /** True for the Matrix user of the chat's identity. */
  isSelf(userId: string): boolean
}

export interface MemberNews {
  memberCount: number | null
  event: PlannedEvent
}

/** @returns null when nobody came or went: some only change their names */
export function memberNews(
  chat: ChatState,
  { userId, membership }: MembershipFact,
  change: MembershipChange,
  device: Device,
  known: Known,
): MemberNews | null {
  const [was, is] = [change.before === 'join', membership === 'join']
  const isBot = userId === chat.bridgeBot || (isOwnGhost(userId, device) && !known.isSelf(userId))
  if (was === is || isBot || chat.kind !== 'group' || chat.membership !== 'joined') return null
  const { phone, ownName, name } = device
  const person = (id: string) =>
    known.isSelf(id)
      ? { id, phone, name: ownName ?? name }
      : { id, phone: known.phoneOf(id), name: known.nameOf(id) }
  const isSelf = known.isSelf(userId)
  const isOwnDoing = change.sender === userId || change.sender === chat.bridgeBot
  const payload: MemberEvent = {
    event: is ? 'member.joined' : 'member.left',
    timestamp: rfc3339(change.sentAt),
    ...placeOf(chat, device),
    member: { ...person(userId), ...(!isSelf && change.name && { name: change.name }) },
    is_self: isSelf,
    by: isOwnDoing ? null : person(change.sender),
  }
  const memberCount = chat.memberCount === null ? null : Math.max(0, chat.memberCount + (is ? 1 : -1))
  return { memberCount, event: plannedEvent(chat, device, change.eventId, payload) }
}

function placeOf(chat: ChatState, { deviceId, platform }: Device) {
  const { id, roomId, kind, name } = chat
  return { device_id: deviceId, platform, chat_id: id, chat: { id: roomId, kind, name } }
}

function plannedEvent(
  { identityId, roomId }: ChatState,
  { id: deviceRowId }: Device,
  eventId: string,
  payload: PlannedEvent['payload'],
): PlannedEvent {
  return { identityId, roomId, deviceRowId, eventId, payload }
}
