/** The shapes of a plan and of the knowledge that it rests on. */
import type { Chat, Device } from '../../db/schema/index.ts'
import type { ChatWideEvent, MediaInfo, MessageEvent } from '../../domain/events.ts'
import type { Fact } from '../../domain/facts.ts'
import type { EventBatch } from '../../domain/ports.ts'
import type { Features } from '../chats/chat-repository.ts'
import type { ChatKnowledge } from '../chats/knowledge.ts'
import type { NewChatMessage, SaidEvent } from '../history/history-repository.ts'
import type { ReadReport, StatusReport } from '../sending/statuses/report-repository.ts'
import type { Earlier } from './earlier-said.ts'
import type { HeldFact } from './held-events.ts'

/** A plan's view of a chat. */
export type ChatState = Omit<Chat, 'createdAt' | 'updatedAt' | 'activityAt' | 'unreadCount'>

/** Facts known before the batch. */
export interface Knowledge extends ChatKnowledge {
  /** Earlier events that the batch takes back or votes on; null: nothing of it is left to tell. */
  earlier?: ReadonlyMap<string, Earlier | null>
  /** Senders' numbers as devices know them; undefined: the bridge may know; see `phoneKey`. */
  phones: ReadonlyMap<string, string | null | undefined>
  /** Whose devices the bridge couldn't be asked about just now; see `loginsOf`. */
  unanswered?: ReadonlySet<string>
}

/** Something said, as the history has it, with its event. */
export interface PlannedMessage {
  history: NewChatMessage
  /** True for what only takes something back: the history has no row of it. */
  isRemoval: boolean
  media: { id: string; mxcUri: string; info: MediaInfo } | null
  /** Null for what makes no event, as it is from before the device received any. */
  payload: MessageEvent | null
  /** Empty when the event shows nobody in particular as its sender. */
  senderUserId: string
}

/** Something that happened to a chat as a whole. */
export interface PlannedEvent {
  identityId: string
  roomId: string
  deviceRowId: string
  eventId: string
  payload: ChatWideEvent
}

/** A chat that is new or changed. */
export interface PlannedChat {
  chat: ChatState
  /** Those of its columns that change. */
  change: Partial<ChatState>
}

export interface Plan {
  /** Null for a plan that completes a join: it comes from no batch. */
  position: EventBatch['position'] | null
  /** By `chatKey`. */
  chats: Map<string, PlannedChat>
  /** Contents that `features` of the chats name. */
  features: Features[]
  messages: PlannedMessage[]
  events: PlannedEvent[]
  /** Events that were taken back. */
  erased: { identityId: string; roomId: string; eventId: string }[]
  /** Facts of rooms whose join isn't complete, or whose device isn't known yet. */
  held: { identityId: string; said: HeldFact }[]
  /** Chats to be joined anew once their device can be found out, by `chatKey`. */
  rejoined: Set<string>
  statuses: StatusReport[]
  /** Read receipts: everything of ours in the room up to the event has been read. */
  reads: ReadReport[]
  /** Receipts of the accounts themselves. */
  ownReads: SaidEvent[]
  /** People's names by Matrix user id. */
  names: Map<string, string>
  /** Facts that nothing could be made of, by a defect of ours. */
  givenUp: { fact: Fact; error: unknown }[]
  /** Devices that messages came for though we don't know them, or as logged out: perhaps new. */
  unknownDevices: { identityId: string; platform: string }[]
  /** Those who speak to a device and whose numbers its bridge may know. */
  unknownSenders: { device: Device; userId: string }[]
}
