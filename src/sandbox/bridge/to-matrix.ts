/** Turns messages of the network into the content of Matrix events. */
import type { Media, Message } from '../network/types.ts'
import { formattedText, type Writing } from './formatted-text.ts'

export interface MatrixContent {
  type: string
  content: Record<string, unknown>
}

/**
 * @param mxc of the message's file at the homeserver, if any
 * @param replyTo the quoted event, if the room has it
 */
export function toMatrix(
  message: Message,
  mxc: string | null,
  replyTo: string | undefined,
  writing: Writing,
): MatrixContent {
  const relation = replyTo === undefined ? {} : { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo } } }
  if (message.type === 'sticker' && message.media) {
    return { type: 'm.sticker', content: { ...stickerContent(message, message.media, mxc), ...relation } }
  }
  return { type: 'm.room.message', content: { ...messageContent(message, mxc, writing), ...relation } }
}

export function reactionContent(eventId: string, emoji: string): MatrixContent {
  return {
    type: 'm.reaction',
    content: { 'm.relates_to': { rel_type: 'm.annotation', event_id: eventId, key: emoji } },
  }
}

/** @param edit the message that has the new text */
export function editContent(
  eventId: string,
  original: Message,
  { text, html, mentions }: Message,
  writing: Writing,
): MatrixContent {
  const mxc = original.media?.mxc ?? null
  const newContent = messageContent({ ...original, text, html, mentions }, mxc, writing)
  return {
    type: 'm.room.message',
    content: {
      msgtype: newContent.msgtype ?? 'm.text',
      ...newContent,
      body: `* ${text}`,
      'm.new_content': newContent,
      'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    },
  }
}

const TEXT_TYPES: Partial<Record<Message['type'], string>> = { notice: 'm.notice', emote: 'm.emote' }
const MEDIA_MSGTYPES: Partial<Record<Message['type'], string>> = {
  image: 'm.image',
  video: 'm.video',
  gif: 'm.video',
  audio: 'm.audio',
  voice: 'm.audio',
  file: 'm.file',
}

function messageContent(message: Message, mxc: string | null, writing: Writing): Record<string, unknown> {
  if (message.type === 'location') return locationContent(message)
  if (!message.media)
    return { msgtype: TEXT_TYPES[message.type] ?? 'm.text', ...formattedText(message, writing) }
  const fileName = message.fileName ?? message.media.name
  return {
    msgtype:
      message.media.mimeType === 'image/gif' && message.type === 'gif'
        ? 'm.image'
        : (MEDIA_MSGTYPES[message.type] ?? 'm.file'),
    // A body that differs from the file's name is a caption.
    ...(message.text === '' ? { body: fileName } : formattedText(message, writing)),
    filename: fileName,
    url: mxc,
    info: { ...mediaInfo(message.media), ...(message.type === 'gif' ? GIF_INFO : {}) },
    ...(message.type === 'voice' ? voiceFields(message.media) : {}),
  }
}

const GIF_INFO = Object.fromEntries(
  ['gif', 'loop', 'autoplay', 'hide_controls', 'no_audio'].map(fact => [`fi.mau.${fact}`, true]),
)

function stickerContent(message: Message, media: Media, mxc: string | null): Record<string, unknown> {
  return { body: message.text === '' ? media.name : message.text, url: mxc, info: mediaInfo(media) }
}

function locationContent({ latitude, longitude, text }: Message): Record<string, unknown> {
  const geoUri = `geo:${latitude ?? 0},${longitude ?? 0}`
  const body = text === '' ? `Location: ${geoUri}` : text
  return {
    msgtype: 'm.location',
    body,
    geo_uri: geoUri,
    'org.matrix.msc3488.location': { uri: geoUri, description: body },
  }
}

function mediaInfo(media: Media): Record<string, unknown> {
  return {
    mimetype: media.mimeType,
    size: media.sizeBytes,
    ...(media.width === null ? {} : { w: media.width }),
    ...(media.height === null ? {} : { h: media.height }),
    ...(media.durationMs === null ? {} : { duration: media.durationMs }),
    ...(media.blurhash === null ? {} : { 'xyz.amorgan.blurhash': media.blurhash }),
  }
}

function voiceFields(media: Media): Record<string, unknown> {
  return {
    'org.matrix.msc3245.voice': {},
    'org.matrix.msc1767.audio': { duration: media.durationMs ?? 0, waveform: [] },
  }
}
