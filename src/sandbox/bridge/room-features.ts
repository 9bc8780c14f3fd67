/**
 * Features of the simulated networks, set in each room as bridgev2 does (com.beeper.room_features),
 * and the refusals that follow from them.
 */
import type { SandboxPlatform } from '../platforms.ts'
import type { Incoming } from './from-matrix.ts'
import { permanent, type Refusal } from './refusals.ts'

export const ROOM_FEATURES_TYPE = 'com.beeper.room_features'

/** 2: accepted, 1: converted, 0: accepted as something else, -1: lost on the way, -2: refused. */
type Level = 2 | 1 | 0 | -1 | -2

interface FileFeatures {
  mime_types: Readonly<Record<string, Level>>
  caption: Level
  max_caption_length?: number
}

interface RoomFeatures {
  id: string
  file: Readonly<Record<string, FileFeatures>>
  max_text_length: number
  [feature: string]: unknown
}

const all = (level: Level, ...types: string[]) => Object.fromEntries(types.map(type => [type, level]))
const AUDIO = all(2, 'audio/mpeg', 'audio/mp4', 'audio/aac', 'audio/amr', 'audio/ogg')
const EVERYTHING: FileFeatures = { mime_types: all(2, '*/*'), caption: 2 }
const COMMON = {
  location_message: 2,
  reply: 2,
  edit: 2,
  delete: 2,
  reaction: 2,
  reaction_count: 1,
  read_receipts: true,
}

/** As these networks' bridges stated in 2026; an unlisted kind or type is refused. */
const FEATURES: Readonly<Record<SandboxPlatform, RoomFeatures>> = {
  wa: {
    id: 'sandbox.wa.1',
    ...COMMON,
    file: {
      'm.image': {
        mime_types: { 'image/jpeg': 2, ...all(1, 'image/png', 'image/webp', 'image/gif') },
        caption: 2,
      },
      'm.video': {
        mime_types: { ...all(2, 'video/mp4', 'video/3gpp'), ...all(1, 'video/webm', 'video/quicktime') },
        caption: 2,
      },
      'm.audio': { mime_types: AUDIO, caption: -1 },
      'org.matrix.msc3245.voice': { mime_types: { 'audio/ogg; codecs=opus': 2 }, caption: -1 },
      'm.sticker': { mime_types: { 'image/webp': 2, ...all(1, 'image/png', 'image/jpeg') }, caption: -1 },
      'm.file': EVERYTHING,
    },
    max_text_length: 65_536,
  },
  signal: {
    id: 'sandbox.signal.1',
    ...COMMON,
    file: {
      'm.image': { mime_types: all(2, 'image/jpeg', 'image/png', 'image/webp', 'image/gif'), caption: 2 },
      'm.video': { mime_types: all(2, 'video/mp4', 'video/webm', 'video/quicktime'), caption: 2 },
      'm.audio': { mime_types: { ...AUDIO, 'audio/wav': 2 }, caption: 2 },
      'org.matrix.msc3245.voice': { mime_types: all(2, 'audio/aac', 'audio/ogg'), caption: 2 },
      'm.sticker': { mime_types: all(2, 'image/webp', 'image/png'), caption: -1 },
      'm.file': EVERYTHING,
    },
    max_text_length: 65_536,
  },
  telegram: {
    id: 'sandbox.telegram.1',
    ...COMMON,
    file: {
      'm.image': {
        mime_types: { ...all(2, 'image/jpeg', 'image/png'), 'image/webp': 1 },
        caption: 2,
        max_caption_length: 1_024,
      },
      'm.video': { mime_types: all(2, 'video/mp4', 'video/webm'), caption: 2, max_caption_length: 1_024 },
      'm.audio': { mime_types: AUDIO, caption: 2, max_caption_length: 1_024 },
      'org.matrix.msc3245.voice': { mime_types: all(2, 'audio/ogg'), caption: 2, max_caption_length: 1_024 },
      'm.sticker': { mime_types: all(2, 'image/webp', 'image/png'), caption: -1 },
      'm.file': { ...EVERYTHING, max_caption_length: 1_024 },
    },
    max_text_length: 4_096,
  },
}

export function roomFeatures(platform: SandboxPlatform): RoomFeatures {
  return FEATURES[platform]
}

/** @returns the part of a message the network accepts, or why it accepts nothing */
export function taken(platform: SandboxPlatform, incoming: Incoming): Incoming | Refusal {
  const { file, max_text_length: maxTextLength } = FEATURES[platform]
  const { media, text, type } = incoming
  if (!media) {
    return text.length <= maxTextLength
      ? incoming
      : refused(`the text has ${text.length} characters, and ${maxTextLength} is the most`)
  }
  const features = file[type === 'voice' ? 'org.matrix.msc3245.voice' : `m.${type}`]
  if (!features) return refused(`unsupported message type ${type}`)
  const level = media.mimeType === '' ? 2 : levelOf(media.mimeType, features.mime_types)
  if (level === -2) return refused(`unsupported media type (${media.mimeType} in ${type})`)
  const maxCaption = features.max_caption_length ?? maxTextLength
  if (text.length > maxCaption)
    return refused(`the caption has ${text.length} characters, and ${maxCaption} is the most`)
  // A network without captions drops them silently.
  return features.caption < 0 ? { ...incoming, text: '' } : incoming
}

function levelOf(type: string, listed: FileFeatures['mime_types']): Level {
  const plain = type.split(';')[0] ?? type
  const entry = Object.keys(listed).find(
    name => name === type || name === plain || name === `${plain.split('/')[0]}/*` || name === '*/*',
  )
  return (entry === undefined ? undefined : listed[entry]) ?? -2
}

const refused = (message: string) => permanent('com.beeper.unsupported_event', message)
