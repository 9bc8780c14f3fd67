/**
 * Features of the simulated networks, set in each room as bridgev2 does (com.beeper.room_features).
 * They are those of mautrix-whatsapp v26.07, mautrix-signal and mautrix-telegram v26.08 with
 * ffmpeg. Kinds and types that aren't listed are refused.
 */
import type { Chat } from '../network/types.ts'
import type { SandboxPlatform } from '../platforms.ts'

export const ROOM_FEATURES_TYPE = 'com.beeper.room_features'

/** 2: accepted, 1: converted, 0: accepted as something else, -1: lost on the way, -2: refused. */
export type Level = 2 | 1 | 0 | -1 | -2

export interface FileFeatures {
  mime_types: Readonly<Record<string, Level>>
  /** Without it captions aren't supported, and are lost. */
  caption?: Level
  max_caption_length?: number
  max_size?: number
  /** In seconds. */
  max_duration?: number
  /** In pixels. */
  max_width?: number
  max_height?: number
}

export interface RoomFeatures {
  id: string
  formatting: Readonly<Record<string, Level>>
  file: Readonly<Record<string, FileFeatures>>
  /** States of the room that members may change. */
  state: Readonly<Record<string, { level: Level }>>
  member_actions?: Readonly<Record<string, Level>>
  max_text_length: number
  location_message: Level
  poll?: Level
  poll_max_options?: number
  poll_option_max_length?: number
  reply: Level
  edit: Level
  /** In seconds, as all ages. */
  edit_max_age?: number
  edit_max_count?: number
  delete: Level
  delete_max_age?: number
  reaction: Level
  reaction_count: number
  /** Absent: any. */
  allowed_reactions?: readonly string[]
  read_receipts: boolean
  typing_notifications: boolean
  disappearing_timer: DisappearingTimers
  block_user?: boolean
}

export interface DisappearingTimers {
  types: readonly ('after_send' | 'after_read')[]
  /** In milliseconds; absent: any. */
  timers?: readonly number[]
}

const MIB = 1024 * 1024
const MINUTE_S = 60
const DAY_S = 24 * 3_600

const all = (level: Level, ...names: string[]) => Object.fromEntries(names.map(name => [name, level]))
const anything = all(2, '*/*')
const states = (...types: string[]) => Object.fromEntries(types.map(type => [type, { level: 2 as const }]))

const COMMON = {
  reply: 2,
  edit: 2,
  delete: 2,
  reaction: 2,
  reaction_count: 1,
  read_receipts: true,
  typing_notifications: true,
} as const

const PLAIN_FORMATS = ['bold', 'italic', 'strikethrough', 'inline_code', 'code_block', 'user_link']
const LISTS = ['unordered_list', 'ordered_list', 'ordered_list.start']
const NAME_AND_AVATAR = ['m.room.name', 'm.room.avatar']

const WA_FILE = { caption: 2, max_caption_length: 65_536, max_size: 2_000 * MIB } as const
const WA_WITHOUT_CAPTION = { caption: -1, max_size: 2_000 * MIB } as const
const SIGNAL_FILE = { caption: 2, max_caption_length: 2_000, max_size: 100 * MIB } as const
const TELEGRAM_FILE = { caption: 2, max_caption_length: 1_024, max_size: 2_048 * MIB } as const

const days = (...counts: number[]) => counts.map(count => count * DAY_S * 1_000)
const WA_TIMERS: DisappearingTimers = { types: ['after_send'], timers: days(1, 7, 90) }
const SIGNAL_TIMERS: DisappearingTimers = { types: ['after_read'] }
const TELEGRAM_TIMERS: DisappearingTimers = {
  types: ['after_send'],
  timers: days(1, 2, 3, 4, 5, 6, 7, 14, 21, 31, 62, 93, 124, 155, 186, 365),
}

const FEATURES: Readonly<Record<SandboxPlatform, RoomFeatures>> = {
  wa: {
    ...COMMON,
    id: 'sandbox.wa.3',
    formatting: {
      ...all(2, ...PLAIN_FORMATS, ...LISTS, 'blockquote'),
      ...all(1, 'inline_link', 'headers'),
    },
    file: {
      'm.image': {
        mime_types: { 'image/jpeg': 2, ...all(1, 'image/png', 'image/webp', 'image/gif') },
        ...WA_FILE,
      },
      'm.video': {
        mime_types: { ...all(2, 'video/mp4', 'video/3gpp'), ...all(1, 'video/webm', 'video/quicktime') },
        ...WA_FILE,
      },
      'fi.mau.gif': { mime_types: { 'video/mp4': 2, 'image/gif': 1 }, ...WA_FILE },
      'm.audio': {
        mime_types: all(2, 'audio/mpeg', 'audio/mp4', 'audio/aac', 'audio/amr', 'audio/ogg'),
        ...WA_WITHOUT_CAPTION,
      },
      'org.matrix.msc3245.voice': {
        mime_types: { 'audio/ogg; codecs=opus': 2, 'audio/ogg': 0 },
        ...WA_WITHOUT_CAPTION,
      },
      'm.sticker': {
        mime_types: { 'image/webp': 2, ...all(1, 'image/png', 'image/jpeg', 'video/lottie+json') },
        ...WA_WITHOUT_CAPTION,
      },
      'm.file': { mime_types: anything, ...WA_FILE },
    },
    state: states(...NAME_AND_AVATAR, 'm.room.topic', 'com.beeper.disappearing_timer'),
    member_actions: all(2, 'invite', 'kick', 'leave'),
    max_text_length: 65_536,
    location_message: 2,
    poll: 2,
    poll_max_options: 12,
    poll_option_max_length: 100,
    edit_max_age: 15 * MINUTE_S,
    delete_max_age: 2 * DAY_S,
    disappearing_timer: WA_TIMERS,
  },
  signal: {
    ...COMMON,
    id: 'sandbox.signal.3',
    formatting: {
      ...all(2, ...PLAIN_FORMATS, 'spoiler'),
      ...all(1, ...LISTS, 'blockquote', 'inline_link', 'headers'),
    },
    file: {
      'm.image': {
        mime_types: all(
          2,
          ...['image/gif', 'image/png', 'image/jpeg', 'image/webp', 'image/bmp', 'image/avif'],
        ),
        ...SIGNAL_FILE,
        max_width: 4_096,
        max_height: 4_096,
      },
      'm.video': { mime_types: all(2, 'video/mp4', 'video/ogg', 'video/webm'), ...SIGNAL_FILE },
      'fi.mau.gif': { mime_types: all(2, 'image/gif', 'video/mp4'), caption: 2, max_size: 100 * MIB },
      'm.audio': {
        mime_types: all(2, 'audio/aac', 'audio/mpeg', 'audio/mp3', 'audio/flac'),
        max_size: 100 * MIB,
      },
      'org.matrix.msc3245.voice': {
        mime_types: { 'audio/aac': 2, 'audio/ogg': 1 },
        caption: -1,
        max_size: 100 * MIB,
        max_duration: 60 * MINUTE_S,
      },
      'm.sticker': {
        mime_types: { ...all(2, 'image/png', 'image/apng'), ...all(1, 'image/webp', 'image/gif') },
        caption: -1,
        max_size: 100 * MIB,
      },
      'm.file': { mime_types: anything, ...SIGNAL_FILE },
    },
    state: states(...NAME_AND_AVATAR, 'm.room.topic', 'com.beeper.disappearing_timer'),
    member_actions: all(2, 'invite', 'revoke_invite', 'leave', 'ban', 'kick'),
    max_text_length: 2_000,
    location_message: 1,
    poll: 2,
    poll_max_options: 10,
    poll_option_max_length: 100,
    edit_max_age: DAY_S,
    edit_max_count: 10,
    delete_max_age: DAY_S,
    disappearing_timer: SIGNAL_TIMERS,
    block_user: true,
  },
  telegram: {
    ...COMMON,
    id: 'sandbox.telegram.3',
    formatting: {
      ...all(2, ...PLAIN_FORMATS, 'underline', 'blockquote', 'inline_link', 'spoiler'),
      ...all(2, 'code_block.syntax_highlighting'),
      ...all(1, ...LISTS, 'headers'),
      ...all(-1, 'ordered_list.jump_value', 'custom_emoji', 'spoiler.reason'),
    },
    file: {
      'm.image': {
        mime_types: { 'image/jpeg': 2, ...all(1, 'image/webp', 'image/png', 'image/gif') },
        ...TELEGRAM_FILE,
        max_size: 10 * MIB,
      },
      'm.video': { mime_types: all(2, 'video/mp4'), ...TELEGRAM_FILE },
      'fi.mau.gif': { mime_types: { 'image/gif': 1, 'video/mp4': 2 }, ...TELEGRAM_FILE },
      'm.audio': { mime_types: all(2, 'audio/mpeg', 'audio/mp4'), ...TELEGRAM_FILE },
      'org.matrix.msc3245.voice': {
        mime_types: all(2, 'audio/ogg', 'audio/mpeg', 'audio/mp4'),
        ...TELEGRAM_FILE,
      },
      'm.sticker': {
        mime_types: {
          ...all(2, 'image/webp', 'video/lottie+json', 'video/webm'),
          ...all(1, 'image/jpeg', 'image/png'),
        },
      },
      'm.file': { mime_types: anything, ...TELEGRAM_FILE },
    },
    state: states(...NAME_AND_AVATAR, 'com.beeper.disappearing_timer'),
    member_actions: all(2, 'ban', 'kick', 'invite', 'leave'),
    max_text_length: 4_096,
    location_message: 2,
    disappearing_timer: TELEGRAM_TIMERS,
    // A part of those that Telegram has without Premium.
    allowed_reactions: ['👍️', '👎️', '❤️', '🔥', '🎉', '😁', '😢', '🤔', '🙏'],
  },
}

/** Direct chats have no name, topic or members to change; only in them somebody can be blocked. */
const DIRECT: typeof FEATURES = {
  wa: direct(FEATURES.wa),
  signal: direct(FEATURES.signal),
  telegram: direct(FEATURES.telegram),
}

const FOR_GROUPS: typeof FEATURES = {
  wa: FEATURES.wa,
  signal: withoutBlocking(FEATURES.signal),
  telegram: FEATURES.telegram,
}

function withoutBlocking({ block_user: _none, ...features }: RoomFeatures): RoomFeatures {
  return features
}

function direct({ member_actions: _none, ...features }: RoomFeatures): RoomFeatures {
  return { ...features, id: `${features.id}+dm`, state: states('com.beeper.disappearing_timer') }
}

export function roomFeatures(platform: SandboxPlatform, { group }: Pick<Chat, 'group'>): RoomFeatures {
  return group === null ? DIRECT[platform] : FOR_GROUPS[platform]
}
