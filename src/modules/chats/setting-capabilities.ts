/** Decides by the features of a chat whether its network takes a change of the chat as a whole. */
import { type RoomFeatures, TAKEN_IN_PART } from '../../domain/room-features.ts'
import type { ChatActType } from '../../domain/states.ts'
import { durationInWords } from '../../lib/amounts.ts'
import type { Unsupported } from './capabilities.ts'

/** Where features say whether each is taken. Of admins no bridge says anything. */
const STATED: Readonly<
  Record<ChatActType, readonly ['state' | 'memberActions', Unsupported['feature'], string] | null>
> = {
  rename: ['state', 'm.room.name', 'lets nobody rename this chat'],
  set_topic: ['state', 'm.room.topic', 'takes no topic here'],
  set_avatar: ['state', 'm.room.avatar', 'takes no picture here'],
  set_disappearing: ['state', 'com.beeper.disappearing_timer', 'lets no messages disappear here'],
  add_member: ['memberActions', 'invite', 'lets nobody be added here'],
  remove_member: ['memberActions', 'kick', 'lets nobody be removed here'],
  promote_member: null,
  demote_member: null,
  leave: ['memberActions', 'leave', 'has no way to leave this chat'],
  block: null,
}

/**
 * @param features null where the bridge doesn't say
 * @param disappearingS of a change of that: seconds
 * @returns null when the network takes it
 */
export function unsupportedSetting(
  act: ChatActType,
  features: RoomFeatures | null,
  disappearingS = 0,
): Unsupported | null {
  const settings = features?.settings
  if (!settings) return null
  if (act === 'block' && !settings.blocks)
    return { feature: 'block_user', limit: null, words: 'lets nobody be blocked from here' }
  const stated = STATED[act]
  if (stated) {
    const [where, feature, words] = stated
    if ((settings[where][feature] ?? 0) < TAKEN_IN_PART) return { feature, limit: null, words }
  }
  const { timersMs } = settings
  if (act !== 'set_disappearing' || disappearingS === 0 || timersMs === null) return null
  if (timersMs.includes(disappearingS * 1_000)) return null
  const words = `lets messages disappear only after ${timersMs.map(durationInWords).join(', ')}`
  return { feature: 'com.beeper.disappearing_timer', limit: null, words }
}
