/** The network's types: phones, chats, messages and linked accounts. */
import type { SandboxPlatform } from '../platforms.ts'

export const MEDIA_TYPES = ['image', 'video', 'gif', 'audio', 'voice', 'file', 'sticker'] as const
export type MediaType = (typeof MEDIA_TYPES)[number]
export type MessageType =
  | MediaType
  | 'text'
  | 'notice'
  | 'emote'
  | 'location'
  | 'reaction'
  | 'edit'
  | 'delete'
  | 'poll'
  | 'vote'
  | 'call'
  | Unshown

/** Told to linked devices like messages, in order with them, but no message on any phone. */
export const UNSHOWN = ['read', 'change'] as const
export type Unshown = (typeof UNSHOWN)[number]

export function isUnshown(type: MessageType): type is Unshown {
  return (UNSHOWN as readonly string[]).includes(type)
}

export function isMediaType(type: string): type is MediaType {
  return (MEDIA_TYPES as readonly string[]).includes(type)
}

export interface Phone {
  phone: string
  name: string
  /** Answers messages of linked devices, unless it is linked itself. */
  echo: boolean
  platforms: readonly SandboxPlatform[]
  /** Password a login by code asks for (Telegram). */
  twoFactor: string | null
  /** Others still chat with it by its number, though it has a hidden id (WhatsApp). */
  chatsByNumber: boolean
  /** The file of its owner's picture. */
  avatarId: string | null
}

export interface Contact {
  phone: string
  name: string
}

export interface Group {
  groupId: string
  name: string
  inviteCode: string
  kind: 'group' | 'channel' | 'status'
  /** The only phone that posts in a channel. */
  owner: string | null
  topic: string
  /** The file of its picture. */
  avatarId: string | null
  /** Members that may remove others, and make others admins. */
  admins: readonly string[]
}

/** A group to make. */
export type NewGroup = Pick<Group, 'name' | 'inviteCode' | 'kind' | 'owner' | 'admins'> &
  Partial<Pick<Group, 'topic' | 'avatarId'>>

/** The group whose messages are the status posts of a platform. */
export const STATUS_POSTS = 'status@broadcast'

/** A direct chat has no `group`. */
export interface Chat {
  /** Unique on the network: names the platform, and a direct chat's phones. */
  id: string
  platform: SandboxPlatform
  group: Group | null
  members: readonly string[]
  /** How long its messages stay, in seconds; 0: for ever. */
  disappearingS: number
}

/** A change of a chat itself, with what it changes. */
export interface ChatChange {
  name?: string
  topic?: string
  /** True: the message's file is the new picture; false: there is none any more. */
  avatar?: boolean
  disappearingS?: number
  added?: readonly string[]
  removed?: readonly string[]
  promoted?: readonly string[]
  demoted?: readonly string[]
}

/** A file on the network's disk. */
export interface Media {
  id: string
  name: string
  mimeType: string
  sizeBytes: number
  width: number | null
  height: number | null
  blurhash: string | null
  durationMs: number | null
  /** Its URI at the homeserver, if uploaded. */
  mxc: string | null
}

export interface Poll {
  question: string
  options: readonly string[]
  /** How many of them one phone may choose. */
  maxSelections: number
  /** Ids of the options, where a linked device made the poll. */
  ids?: readonly string[]
}

/** Content of a message. */
export interface Content {
  type: MessageType
  text: string
  media?: Media | undefined
  /** Name of the file in this message. */
  fileName?: string | null | undefined
  /** Id of the quoted message. */
  replyTo?: string | null | undefined
  /** Reactions, edits, deletions, votes and reads: id of their message. */
  target?: string | null | undefined
  /** Reactions: the emoji; empty retracts the reaction. */
  emoji?: string | null | undefined
  latitude?: number | null | undefined
  longitude?: number | null | undefined
  poll?: Poll | undefined
  /** Votes: the options chosen, none to take the vote back. */
  options?: readonly string[] | undefined
  /** Calls: with a picture. */
  isVideo?: boolean | undefined
  change?: ChatChange | undefined
  /** The text with its formatting, as HTML, where the network keeps both. */
  html?: string | undefined
  /** Phones that the text names, as `@<number>`. */
  mentions?: readonly string[] | undefined
  /** True for a text whose links are shown without a preview. */
  isWithoutPreview?: boolean | undefined
}

/** A stored message. */
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

/** An account that a Matrix user has linked to the bridge. */
export interface Login {
  platform: SandboxPlatform
  /** The platform's own id for the account. */
  id: string
  phone: string
  userId: string
  linkedAt: number
}

/** A message missing from a login's Matrix room. */
export interface Delivery {
  id: number
  platform: SandboxPlatform
  loginId: string
  chatId: string
  seq: number
  /** True for a message from before the login. */
  isBackfill: boolean
}

/** A message's source in Matrix. */
export interface Origin {
  loginId: string
  roomId: string
  eventId: string
}

/** Id of a chat: the platform with the two phones, or with the group's own id. */
export function directChatId(platform: SandboxPlatform, one: string, other: string): string {
  return one < other ? `${platform}:${one}:${other}` : `${platform}:${other}:${one}`
}

export function groupChatId(platform: SandboxPlatform, groupId: string): string {
  return `${platform}:group:${groupId}`
}

/** @returns the phones of a direct chat, or null for a group's id */
export function directChatPhones(chatId: string): [string, string] | null {
  const [, one, other] = chatId.split(':')
  return one === undefined || other === undefined || one === 'group' ? null : [one, other]
}
