/** Shows chats: whose they are, who they are with, and what they take. */
import type { Chat, Device } from '../../db/schema/index.ts'
import {
  type FeatureLevel,
  type FileFeatures,
  REFUSED,
  type RoomFeatures,
  SUBSTITUTED,
  TAKEN_IN_PART,
} from '../../domain/room-features.ts'
import { CHAT_ACT_TYPES } from '../../domain/states.ts'
import type { CapabilitiesView, ChatView } from '../../domain/views/chat.ts'
import { type ChatRepository, isChatOf } from '../chats/chat-repository.ts'
import type { KnownPeople } from '../chats/known-people.ts'
import { unsupportedSetting } from '../chats/setting-capabilities.ts'
import type { Avatars } from '../media/avatars.ts'

export interface ChatViewsOptions {
  chats: Pick<ChatRepository, 'featuresOf'>
  people: Pick<KnownPeople, 'person' | 'userOfChannel'>
  avatars: Pick<Avatars, 'urlOf'>
}

export function createChatViews({ chats, people, avatars }: ChatViewsOptions) {
  async function personIn(chat: Chat, device: Device | undefined): Promise<ChatView['person']> {
    if (chat.kind !== 'dm' || !device) return null
    const userId = chat.peer ?? (chat.channelId && people.userOfChannel(device, chat.channelId))
    return userId ? people.person(device, userId, chat.name, chat.avatar) : null
  }

  /** @param devices of the identity, those that are linked first */
  return async (
    chat: Chat,
    devices: readonly Device[],
    lastMessage: ChatView['last_message'],
  ): Promise<ChatView> => {
    const device = devices.find(one => isChatOf(one, chat))
    const person = await personIn(chat, device)
    const features = await chats.featuresOf(chat)
    return {
      id: chat.id,
      room_id: chat.roomId,
      device_id: device?.deviceId ?? null,
      platform: chat.platform,
      kind: chat.kind as ChatView['kind'],
      name: chat.name || (person?.name ?? ''),
      topic: chat.topic,
      avatar_url: avatars.urlOf(chat.identityId, chat.avatar),
      person,
      member_count: chat.memberCount,
      muted: chat.muted,
      archived: chat.archived,
      unread_count: chat.unreadCount,
      last_message: lastMessage,
      capabilities: features && capabilitiesOf(features),
    }
  }
}

function capabilitiesOf(features: RoomFeatures): CapabilitiesView {
  const { files, settings } = features
  const shown = Object.entries(files ?? {}).map(([kind, limits]) => [kind, limitsOf(limits)])
  return {
    max_text_length: features.maxTextLength,
    reply: features.reply >= TAKEN_IN_PART,
    files: files && Object.fromEntries(shown),
    location: features.location > REFUSED,
    mentions: isTaken(features.mentions),
    poll: isTaken(features.poll),
    max_poll_options: features.maxPollOptions,
    edit: isTaken(features.edit),
    edit_max_age_s: inSeconds(features.editMaxAgeMs),
    edit_max_count: features.editMaxCount,
    unsend: isTaken(features.delete),
    unsend_max_age_s: inSeconds(features.deleteMaxAgeMs),
    reaction: isTaken(features.reaction),
    allowed_reactions: features.allowedReactions && [...features.allowedReactions],
    changes: settings ? CHAT_ACT_TYPES.filter(act => unsupportedSetting(act, features) === null) : null,
  }
}

function isTaken(level: FeatureLevel | null): boolean | null {
  return level === null ? null : level >= TAKEN_IN_PART
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000
}

function limitsOf({ mimeTypes, caption, maxSizeBytes, maxDurationMs }: FileFeatures) {
  return {
    mime_types: Object.keys(mimeTypes).filter(type => (mimeTypes[type] ?? REFUSED) >= SUBSTITUTED),
    caption: caption >= TAKEN_IN_PART,
    max_size: maxSizeBytes,
    max_duration_s: inSeconds(maxDurationMs),
  }
}
