/**
 * Incoming: changes of a chat that its user makes in the room, as states and by inviting, removing
 * and leaving. What a network or its bridge doesn't do is refused in the words of bridgev2.
 */
import type { Chat, ChatChange, Login } from '../network/types.ts'
import { type BridgeContext, phoneOfGhost } from './context.ts'
import { unsupportedByBridge } from './feature-checks.ts'
import type { Incoming, MatrixEvent } from './from-matrix.ts'
import { failedOnNetwork, type Refusal } from './refusals.ts'
import { roomFeatures } from './room-features.ts'
import { ADMIN_LEVEL } from './room-settings.ts'

const BLOCK = 'com.beeper.block_user'
const TIMER = 'com.beeper.disappearing_timer'
const STATES = ['m.room.name', 'm.room.topic', 'm.room.avatar', TIMER, 'm.room.power_levels', 'm.room.member']

/** True for an event that may change its chat, rather than say something in it. */
export function isChange({ type, state_key: key, content }: MatrixEvent): boolean {
  if (type === BLOCK) return true
  // Accepted invitations are many, and change nothing.
  return key !== undefined && STATES.includes(type) && content.membership !== 'join'
}

interface Place {
  context: BridgeContext
  event: MatrixEvent
  login: Login
  chat: Chat
}

/** @returns null for what bridges take no notice of, such as accepted invitations */
export function changeFromMatrix(
  context: BridgeContext,
  event: MatrixEvent,
  login: Login,
  chat: Chat,
): Incoming | Refusal | null {
  const place = { context, event, login, chat }
  switch (event.type) {
    case 'm.room.member':
      return memberChange(place)
    case 'm.room.power_levels':
      return roleChange(place)
    case TIMER:
      return timerChange(place)
    case BLOCK:
      return blocking(place)
    default:
      return described(place)
  }
}

const asIncoming = (change: ChatChange): Incoming => ({ type: 'change', text: '', change })

function described({ context: { facts }, event: { type, content }, chat }: Place): Incoming | Refusal {
  if (chat.group?.kind !== 'group') return failedOnNetwork(`cannot set ${type} here`)
  if (!(type in roomFeatures(facts.platform, chat).state))
    return unsupportedByBridge(`this bridge does not support changing room metadata of type ${type}`)
  if (type === 'm.room.avatar') {
    const url = typeof content.url === 'string' ? content.url : ''
    if (url === '') return asIncoming({ avatar: false })
    const media = { mxc: url, name: 'avatar', mimeType: '', sizeBytes: 0, durationMs: null }
    return { ...asIncoming({ avatar: true }), media }
  }
  const field = type === 'm.room.name' ? 'name' : 'topic'
  const value = content[field]
  if (typeof value !== 'string') return failedOnNetwork(`the ${field} is no text`)
  return asIncoming({ [field]: value })
}

function timerChange({ context: { facts }, event, chat }: Place): Incoming | Refusal {
  const { type, timer } = event.content
  const { types, timers } = roomFeatures(facts.platform, chat).disappearing_timer
  const ms = typeof timer === 'number' && type !== '' ? Math.max(0, timer) : 0
  const isKnown = types.some(known => known === type) && (timers?.includes(ms) ?? true)
  if (ms > 0 && !isKnown) return failedOnNetwork('invalid disappearing timer')
  return asIncoming({ disappearingS: Math.round(ms / 1_000) })
}

function blocking({ context: { facts }, event, chat }: Place): Incoming | Refusal {
  if (chat.group) return unsupportedByBridge('blocking users can only be done in DMs')
  if (!roomFeatures(facts.platform, chat).block_user)
    return unsupportedByBridge('this bridge does not support blocking users')
  return { type: 'change', text: '', isBlocked: event.content.block === true }
}

function memberChange(place: Place): Incoming | Refusal | null {
  const { context, event, login, chat } = place
  const target = event.state_key ?? ''
  const phone = target === login.userId ? login.phone : phoneOfGhost(context, target)
  const before = membershipOf(event.unsigned?.prev_content) ?? 'leave'
  const now = membershipOf(event.content)
  if (phone === null || now === 'join' || now === before) return null
  if (chat.group?.kind !== 'group')
    return now === 'invite' && !chat.group ? failedOnNetwork('cannot invite additional user to dm') : null
  if (now === 'invite') return asIncoming({ added: [phone] })
  const actions = roomFeatures(context.facts.platform, chat).member_actions ?? {}
  if (now === 'ban' && !('ban' in actions)) return asIncoming({})
  if (before !== 'join' && before !== 'invite') return null
  if (phone !== login.phone && !chat.group.admins.includes(login.phone))
    return failedOnNetwork('failed to change participant: code 403')
  return asIncoming({ removed: [phone] })
}

function membershipOf(content: Record<string, unknown> | undefined): string | undefined {
  return typeof content?.membership === 'string' ? content.membership : undefined
}

function roleChange({ context, event, login, chat }: Place): Incoming | Refusal {
  if (!context.facts.changesRoles)
    return unsupportedByBridge('this bridge does not support changing group power levels')
  const levels = levelsIn(event.content)
  const before = levelsIn(event.unsigned?.prev_content)
  const change = { promoted: [] as string[], demoted: [] as string[] }
  for (const userId of new Set([...Object.keys(levels), ...Object.keys(before)])) {
    const phone = userId === login.userId ? login.phone : phoneOfGhost(context, userId)
    const [is, was] = [(levels[userId] ?? 0) >= ADMIN_LEVEL, (before[userId] ?? 0) >= ADMIN_LEVEL]
    if (phone !== null && is !== was) change[is ? 'promoted' : 'demoted'].push(phone)
  }
  if (!chat.group?.admins.includes(login.phone)) return failedOnNetwork('only admins change who is one')
  return asIncoming(change)
}

function levelsIn(content: Record<string, unknown> | undefined): Record<string, number> {
  const { users } = content ?? {}
  if (typeof users !== 'object' || users === null) return {}
  const numbers = Object.entries(users).filter(([, level]) => typeof level === 'number')
  return Object.fromEntries(numbers) as Record<string, number>
}
