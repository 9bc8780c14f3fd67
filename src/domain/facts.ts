/**
 * Facts that Matrix tells, in the gateway's own terms. src/matrix reads them from room events
 * (`translate/`); the use cases see no other form.
 */
import type { MediaInfo, MessageEvent } from './events.ts'
import type { ChatKind, MessageEventName, MessageKind, MessageStatus } from './states.ts'

interface FromEvent {
  eventId: string
  roomId: string
  sender: string
}

/** An incoming message before it is known whose it is. */
export interface MessageContent extends Pick<MessageEvent, 'poll' | 'vote' | 'call'> {
  event: MessageEventName
  kind: MessageKind
  /** The msgtype (m.text, m.image, …), as in the usage guide; of other events their type. */
  type: string
  message: string
  replyTo: string | null
  relatesTo: string | null
  media: (MediaInfo & { mxcUri: string }) | null
  location: MessageEvent['location']
  /** Matrix users; absent when it mentions nobody. */
  mentions?: string[]
  /** How the text was written here; absent: plainly, or not here. */
  format?: 'markdown'
  /** True when a reaction was taken back; only reactions have it. */
  removed?: boolean
}

interface Said extends FromEvent {
  /** Milliseconds since the Unix epoch. */
  sentAt: number
  /** True for history, which a bridge brings by itself or when asked: it makes no event. */
  isHistory: boolean
  /** True when a bridge wrote it as the identity: its owner said it at the phone. */
  isPuppeted: boolean
}

/** Somebody has said, edited or deleted something, voted, or called. */
export interface MessageFact extends Said {
  fact: 'message'
  content: MessageContent
}

export interface ReactionFact extends Said {
  fact: 'reaction'
  /** Null when nothing of it is left to tell. */
  content: MessageContent | null
}

/** A bridge reports about one of our messages. */
export interface StatusFact {
  fact: 'status'
  /** The message's event. */
  eventId: string
  sender: string
  /** `queued`: the network didn't take it and may take it later, so it is to be sent again. */
  status: MessageStatus
  reason: string | null
}

/** `userId` has read everything in the room up to the event. */
interface ReceiptFact {
  fact: 'receipt'
  roomId: string
  eventId: string
  userId: string
}

export interface MembershipFact {
  fact: 'membership'
  roomId: string
  userId: string
  /** As Matrix names it: invite, join, leave, ban, knock. */
  membership: string
  /** The news in it; absent where a room's state only shows how it is. */
  change?: MembershipChange
}

export interface MembershipChange {
  eventId: string
  /** Who did it. */
  sender: string
  /** Milliseconds since the Unix epoch. */
  sentAt: number
  /** As Matrix names it; leave for somebody who was never there. */
  before: string
  /** How they are called; empty if that isn't known. */
  name: string
}

/** How a Matrix user is called. */
export interface NameFact {
  fact: 'name'
  roomId: string
  userId: string
  name: string
}

/** The room is a portal of a bridge. Only that bridge can know. */
export interface PortalFact extends FromEvent {
  fact: 'portal'
  portal: {
    kind: ChatKind
    /** The network's id of the chat. */
    channelId: string
    /** The bridge's bot, its Matrix user id. */
    bridgeBot?: string
    /** The login that the portal belongs to. */
    receiver?: string
    /** The network's name of the chat. */
    name?: string
  }
}

/** Features of the chat's network. Only the bridge can know. */
export interface FeaturesFact extends FromEvent {
  fact: 'features'
  /** As the bridge states them (matrix/room-features.ts). */
  content: Record<string, unknown>
}

/** The chat goes on in another room. Only the bridge can know. */
export interface MovedFact extends FromEvent {
  fact: 'moved'
  /** The other room. */
  movedTo: string
}

/** Something else about a room. */
export interface RoomFact {
  fact: 'room'
  roomId: string
  room:
    | { kind: ChatKind }
    | { name: string }
    | { topic: string | null }
    /** mxc:// URI; null: none any more. */
    | { avatar: string | null }
    | { encrypted: true }
  /** Its event, of a name, a topic or an avatar. */
  told?: { eventId: string; sentAt: number }
}

/** A fact of a room's timeline. */
export type SaidFact = MessageFact | ReactionFact | StatusFact

export type Fact =
  | SaidFact
  | ReceiptFact
  | MembershipFact
  | NameFact
  | PortalFact
  | FeaturesFact
  | MovedFact
  | RoomFact
