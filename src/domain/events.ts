/** The events that webhooks and the event feed carry. The first block of fields is the usage guide's, to the letter. */
import type { ChatKind, EventName, MessageKind } from './states.ts'

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
  /** Base64 of the file, or null when it is larger than MEDIA_INLINE_MAX_BYTES; then `url` is the way to get it. */
  content: string | null
  info: MediaInfo
  /** A signed address of the file that expires. */
  url: string
}

/** An incoming message as stored: everything but what is added when it is delivered (`is_contact`, media content). */
export interface MessageEvent {
  id: string
  type: string
  from: string
  to: string
  message: string
  device_id: string
  media: MediaInfo | null
  event: EventName
  /** What the message is, in a word. */
  kind: MessageKind
  /** When it was sent, RFC 3339 in UTC. */
  timestamp: string
  platform: string
  sender: { id: string; phone: string | null; name: string }
  chat: { id: string; kind: ChatKind; name: string }
  /** The Matrix event id of the message that this one answers, null when it is no reply. */
  reply_to: string | null
  /** For a reaction, an edit or a redaction: the Matrix event id of the message it is about. Otherwise null. */
  relates_to: string | null
  location: { latitude: number; longitude: number; uri: string } | null
}

/** What a webhook receives. */
export type MessagePayload = Omit<MessageEvent, 'media'> & { is_contact: boolean; media: MediaPayload | null }
