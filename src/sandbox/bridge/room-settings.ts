/** Settings of a chat's room: who may do what there, its topic, picture and timer. */
import type { Chat, Login, Media } from '../network/types.ts'
import type { SandboxPlatform } from '../platforms.ts'
import { type BridgeContext, ghostUserId } from './context.ts'
import { roomFeatures } from './room-features.ts'

export interface PowerLevels {
  users: Record<string, number>
  events: Record<string, number>
  events_default?: number
  state_default?: number
}

const BOT_LEVEL = 100
const OWNER_LEVEL = 100
/** The level at which others can be removed, by default. */
export const ADMIN_LEVEL = 50
const NOBODY_LEVEL = 99

const FREE = ['m.reaction', 'm.room.redaction', 'org.matrix.msc3381.poll.response']
const SETTINGS = ['m.room.name', 'm.room.topic', 'm.room.avatar', 'com.beeper.disappearing_timer']
const levels = (level: number, ...types: string[]) => Object.fromEntries(types.map(type => [type, level]))

/** As mautrix-whatsapp has them: members change what describes a group, its admins the members. */
export function powerLevelsOf(context: BridgeContext, login: Login, chat: Chat): PowerLevels {
  const { botUserId, facts } = context
  const { group } = chat
  const users: Record<string, number> = { [botUserId]: BOT_LEVEL }
  const raise = (phone: string, level: number) => {
    users[ghostUserId(context, phone, chat)] = level
    if (phone === login.phone) users[login.userId] = level
  }
  if (group?.kind === 'channel') {
    if (group.owner === login.phone) raise(login.phone, OWNER_LEVEL)
    return { users, events: levels(0, ...FREE), events_default: ADMIN_LEVEL }
  }
  for (const admin of group?.admins ?? []) raise(admin, ADMIN_LEVEL)
  const events = { ...levels(0, ...SETTINGS, ...FREE), 'm.room.tombstone': BOT_LEVEL }
  if (!group) return { users, events }
  const changes = facts.changesRoles ? { 'm.room.power_levels': ADMIN_LEVEL } : {}
  return { users, events: { ...events, ...changes }, state_default: NOBODY_LEVEL }
}

/** @param seconds 0: messages stay */
export function timerContent(platform: SandboxPlatform, seconds: number): Record<string, unknown> {
  const [type] = roomFeatures(platform, { group: null }).disappearing_timer.types
  return seconds === 0 ? { type: '', timer: 0 } : { type, timer: seconds * 1_000 }
}

/** The state of a new room, beside its name. */
export async function settingsOf(
  { facts, network }: BridgeContext,
  { group, disappearingS }: Chat,
  mxcOf: (media: Media) => Promise<string>,
): Promise<{ type: string; state_key: string; content: Record<string, unknown> }[]> {
  const picture = group?.avatarId ? network.store.media(group.avatarId) : undefined
  const state = (type: string, content: Record<string, unknown>) => ({ type, state_key: '', content })
  return [
    ...(group?.topic ? [state('m.room.topic', { topic: group.topic })] : []),
    ...(picture ? [state('m.room.avatar', { url: await mxcOf(picture) })] : []),
    state('com.beeper.disappearing_timer', timerContent(facts.platform, disappearingS)),
  ]
}
