/**
 * The events of webhooks and the feed. A message begins with the usage guide's fields, to the
 * letter.
 */

import type { ChatKind, DeviceEventName, MessageEventName, MessageKind } from './states.ts'
import type { DeviceView } from './views/device.ts'
import type { MessageView } from './views/message.ts'

export interface MediaInfo {
  /** File size in bytes. */
  size: number
  mime_type: string
  /** Pixels; 0 if not applicable. */
  width: number
  height: number
  /** BlurHash of the image (blurha.sh), empty when there is none. */
  blur_hash: string
  file_name: string
  /** Milliseconds of audio or video; 0 if not applicable. */
  duration: number
}

export interface MediaPayload {
  /** Base64 of the file; null when it is larger than MEDIA_INLINE_MAX_BYTES: `url` leads to it. */
  content: string | null
  info: MediaInfo
  /**
   * A signed address of the file that expires; null while the gateway can't have the file: it is
   * gone, larger than MEDIA_MAX_BYTES, or beyond the quota.
   */
  url: string | null
}

export interface Poll {
  question: string
  /** `votes`: how many had voted for it when the event was made. */
  options: { id: string; text: string; votes: number }[]
  /** How many options one person may choose. */
  max_selections: number
}

export interface Vote {
  /** All that the voter chooses now, none when the vote was taken back; text null if unknown. */
  options: { id: string; text: string | null }[]
}

export interface Call {
  /** Null where the network doesn't tell. */
  type: 'voice' | 'video' | null
}

/** Something said in a chat as stored: delivery adds `is_contact` and media content. */
export interface MessageEvent {
  id: string
  type: string
  from: string
  to: string
  message: string
  device_id: string
  media: MediaInfo | null
  event: MessageEventName
  kind: MessageKind
  /** When it was sent, RFC 3339 in UTC. */
  timestamp: string
  platform: string
  sender: { id: string; phone: string | null; name: string }
  chat: { id: string; kind: ChatKind; name: string }
  /** The Matrix event id of the message that this one answers, null when it is no reply. */
  reply_to: string | null
  /** Matrix event id of the message that a reaction, an edit, a redaction or a vote is about. */
  relates_to: string | null
  location: { latitude: number; longitude: number; uri: string } | null
  /**
   * True when a reaction was taken back. Only reactions have it; those an earlier version stored
   * don't.
   */
  removed?: boolean
  /** Only messages of kind `poll` have it. */
  poll?: Poll
  /** Only a poll.vote has it; `relates_to` is the poll. */
  vote?: Vote
  /** Only a call.received has it. */
  call?: Call
}

/**
 * A device got another state, or another restriction: the device as GET /api/v1/devices lists it
 * then.
 */
export type DeviceEvent = DeviceView & {
  event: DeviceEventName
  /** When we learned of it, RFC 3339 in UTC. */
  timestamp: string
}

/** A sent message got another status: the message as GET /api/v1/messages/{id} shows it then. */
export type StatusEvent = Omit<MessageView, 'due_at'> & {
  event: 'message.status'
  /** When we learned of it, RFC 3339 in UTC. */
  timestamp: string
}

/** A webhook was switched off by us. */
export interface WebhookDisabledEvent {
  event: 'webhook.disabled'
  /** RFC 3339 in UTC. */
  timestamp: string
  webhook_id: number
  url: string
  reason: string
  /** The first of the tries of which none has succeeded since; also one that was answered 410. */
  failing_since: string | null
}

/** Somebody wants to know whether a webhook works. */
export interface WebhookTestEvent {
  event: 'webhook.test'
  /** RFC 3339 in UTC. */
  timestamp: string
  webhook_id: number
}

/** An event as stored. */
export type StoredEvent = MessageEvent | DeviceEvent | StatusEvent | WebhookDisabledEvent | WebhookTestEvent

/** A message as a webhook receives it. */
export type MessagePayload = Omit<MessageEvent, 'media'> & { is_contact: boolean; media: MediaPayload | null }

/** An event as a webhook receives it. */
export type WebhookPayload =
  | MessagePayload
  | DeviceEvent
  | StatusEvent
  | WebhookDisabledEvent
  | WebhookTestEvent

/** True for an event about something said in a chat. */
export function isMessageEvent(event: StoredEvent): event is MessageEvent {
  return 'kind' in event
}
