/**
 * The events of webhooks and the feed, as they are stored. A message begins with the usage guide's
 * fields, to the letter; `views/event.ts` has what clients get.
 */
import type {
  ActionEvent,
  ChatBackfilledEvent,
  ChatReadEvent,
  ChatUpdatedEvent,
  DeviceEvent,
  LinkUpdatedEvent,
  MediaInfo,
  MemberEvent,
  MessagePayload,
  StatusEvent,
  TypingEvent,
  WebhookDisabledEvent,
} from './views/event.ts'

export type {
  ActionEvent,
  ChatBackfilledEvent,
  ChatReadEvent,
  ChatUpdatedEvent,
  DeviceEvent,
  LinkUpdatedEvent,
  MediaInfo,
  MediaPayload,
  MemberEvent,
  MessagePayload,
  Poll,
  StatusEvent,
  WebhookDisabledEvent,
} from './views/event.ts'

/** Something said in a chat; delivery adds `is_contact`, a file's content, what it answers, and
 * who is mentioned. */
export type MessageEvent = Omit<
  MessagePayload,
  'is_contact' | 'media' | 'mentions' | 'reply_to_message_id' | 'quoted' | 'metadata'
> & {
  media: MediaInfo | null
  /** Matrix users. */
  mentions?: string[]
}

/** Somebody wants to know whether a webhook works. */
export interface WebhookTestEvent {
  event: 'webhook.test'
  /** RFC 3339 in UTC. */
  timestamp: string
  webhook_id: number
}

/** Events about a chat as a whole. */
export type ChatWideEvent = ChatReadEvent | ChatUpdatedEvent | ChatBackfilledEvent | MemberEvent

export type StoredEvent =
  | MessageEvent
  | ChatWideEvent
  | DeviceEvent
  | LinkUpdatedEvent
  | StatusEvent
  | ActionEvent
  | WebhookDisabledEvent
  | WebhookTestEvent

/** An event that is told and not kept. */
export type LiveEvent = TypingEvent

/** An event as a webhook receives it. */
export type WebhookPayload =
  | MessagePayload
  | ChatWideEvent
  | DeviceEvent
  | LinkUpdatedEvent
  | StatusEvent
  | ActionEvent
  | WebhookDisabledEvent
  | WebhookTestEvent

/** True for an event about something said in a chat. */
export function isMessageEvent(event: StoredEvent): event is MessageEvent {
  return 'kind' in event
}
