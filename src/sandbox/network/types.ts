/** The words of the network: phones, chats, messages and linked accounts. */
import type { SandboxPlatform } from '../platforms.ts'

export const MEDIA_TYPES = ['image', 'video', 'audio', 'voice', 'file', 'sticker'] as const
const MESSAGE_TYPES = [
  'text',
  'notice',
  'emote',
  ...MEDIA_TYPES,
  'location',
  'reaction',
  'edit',
  'delete',
] as const
export type MediaType = (typeof MEDIA_TYPES)[number]
export type MessageType = (typeof MESSAGE_TYPES)[number]

export function isMediaType(type: string): type is MediaType {
  return (MEDIA_TYPES as readonly string[]).includes(type)
}

export interface Phone {
  phone: string
  name: string
  /** Answers what linked devices write to it, unless it is itself linked. */
  echo: boolean
  platforms: readonly SandboxPlatform[]
  /** Asked of whoever logs in with a code (Telegram). */
  twoFactor: string | null
}

export interface Contact {
  phone: string
  name: string
}

export interface Group {
  groupId: string
  name: string
  inviteCode: string
}

/** `group` tells a group from a direct chat. */
export interface Chat {
  /** Unique on the network: names the platform, and a direct chat's phones. */
  id: string
  platform: SandboxPlatform
  group: Group | null
  members: readonly string[]
}

/** A file on the disk of the network. */
export interface Media {
  id: string
  name: string
  mimeType: string
  sizeBytes: number
  width: number | null
  height: number | null
  blurhash: string | null
  durationMs: number | null
  /** Where the homeserver has it, if it does. */
  mxc: string | null
}

/** What a message says. */
export interface Content {
  type: MessageType
  text: string
  media?: Media | undefined
  /** The file's name in this message. */
  fileName?: string | undefined
  /** Id of the message that this one quotes. */
  replyTo?: string | undefined
  /** Reactions, edits and deletions: id of the message they are about. */
  target?: string | undefined
  /** Reactions: what with; empty takes the reaction back. */
  emoji?: string | undefined
  latitude?: number | undefined
  longitude?: number | undefined
}

/** A message as it lies in the network. */
export interface Message extends Content {
  id: string
  /** Position in the network's order. */
  seq: number
  chatId: string
  sender: string
  sentAt: number
  editedAt: number | null
  deletedAt: number | null
}

/** An account of the network that a Matrix user has linked to the bridge. */
export interface Login {
  platform: SandboxPlatform
  /** The platform's own id of the account. */
  id: string
  phone: string
  userId: string
  linkedAt: number
}

/** A message that a login's Matrix room doesn't have yet. */
export interface Delivery {
  id: number
  platform: SandboxPlatform
  loginId: string
  chatId: string
  seq: number
  /** History from before the linking: it keeps its own time. */
  backfill: boolean
}

/** Where in Matrix a message came from. */
export interface Origin {
  loginId: string
  roomId: string
  eventId: string
}

/** What a phone shows of a message: with the chat as that phone knows it, and what became of it since. */
export interface ShownMessage extends Message {
  platform: SandboxPlatform
  group: Group | null
  members: readonly string[]
  reactions: readonly { from: string; emoji: string }[]
  /** Some linked device doesn't have it yet. */
  pending: boolean
}
