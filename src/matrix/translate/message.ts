/**
 * Reads a Matrix event as one of the message kinds of domain/states. Each kind is handled on
 * purpose; other events (state, calls between Matrix clients) give null.
 */
import { z } from 'zod'
import type { MessageContent } from '../../domain/facts.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import { type MessageEventName, type MessageKind, UNDECRYPTABLE } from '../../domain/states.ts'
import { oneSpelling } from '../../lib/emoji.ts'
import { POLL_END_TYPES, POLL_RESPONSE_TYPES, POLL_START_TYPES, pollOf, selectionsOf } from './poll.ts'

const size = z.number().nonnegative().catch(0).default(0)
const mediaInfo = z
  .object({
    size,
    mimetype: z.string().catch('').default(''),
    w: size,
    h: size,
    duration: size,
    'xyz.amorgan.blurhash': z.string().optional().catch(undefined),
  })
  .catch({ size: 0, mimetype: '', w: 0, h: 0, duration: 0 })
  .default({ size: 0, mimetype: '', w: 0, h: 0, duration: 0 })

const relatesTo = z
  .object({
    rel_type: z.string().optional(),
    event_id: z.string().optional(),
    key: z.string().optional(),
    'm.in_reply_to': z.object({ event_id: z.string() }).optional(),
  })
  .optional()
  .catch(undefined)

const messageContent = z.object({
  msgtype: z.string(),
  body: z.string().catch('').default(''),
  filename: z.string().optional().catch(undefined),
  url: z.string().optional().catch(undefined),
  info: mediaInfo,
  geo_uri: z.string().optional().catch(undefined),
  format: z.string().optional().catch(undefined),
  'org.matrix.msc3245.voice': z.unknown().optional(),
  'm.voice': z.unknown().optional(),
  'm.relates_to': relatesTo,
  'm.mentions': z
    .object({ user_ids: z.array(z.string()).catch([]).default([]) })
    .optional()
    .catch(undefined),
  'm.new_content': z.record(z.string(), z.unknown()).optional().catch(undefined),
})
type MatrixContent = z.infer<typeof messageContent>

const stickerContent = z.object({
  body: z.string().catch('').default(''),
  url: z.string(),
  info: mediaInfo,
  'm.relates_to': relatesTo,
})
const reactionContent = z.object({ 'm.relates_to': z.object({ event_id: z.string(), key: z.string() }) })
/** https://github.com/mautrix/go, event.BeeperActionMessage: calls are the only ones so far. */
const actionMessage = z.object({
  type: z.literal('call'),
  call_type: z.enum(['voice', 'video']).optional().catch(undefined),
})
const redactionContent = z.object({ redacts: z.string().optional().catch(undefined) })

/** How each msgtype of m.room.message is told (client-server API, "m.room.message msgtypes"). */
const MESSAGE_TYPES: Record<string, MessageKind> = {
  'm.text': 'text',
  'm.notice': 'notice',
  'm.emote': 'emote',
  'm.image': 'image',
  'm.video': 'video',
  'm.audio': 'audio',
  'm.file': 'file',
  'm.location': 'location',
}
const MEDIA_KINDS: readonly MessageKind[] = ['image', 'video', 'audio', 'voice', 'file', 'sticker']

/** @returns null when the event is no message */
export function messageContentOf(event: RoomEvent): MessageContent | null {
  // A state event can't be a message, whatever its type; a redacted one has nothing left to tell.
  if (event.state_key !== undefined || event.unsigned?.redacted_because !== undefined) return null
  switch (event.type) {
    case 'm.room.message':
      return translateMessage(event)
    case 'm.sticker':
      return translateSticker(event)
    case 'm.reaction':
      return translateReaction(event)
    case 'm.room.redaction':
      return translateRedaction(event)
    case 'm.room.encrypted':
      return translateEncrypted(event)
    case POLL_START_TYPES.stable:
    case POLL_START_TYPES.unstable:
      return translateMessage(event)
    case POLL_RESPONSE_TYPES.stable:
    case POLL_RESPONSE_TYPES.unstable:
      return translateVote(event)
    case POLL_END_TYPES.stable:
    case POLL_END_TYPES.unstable:
      return translatePollEnd(event)
    default:
      return null
  }
}

/** Reads what we send ourselves as others read it. */
export function readBack(type: string, content: Record<string, unknown>): MessageContent | null {
  return messageContentOf({ type, content, event_id: '', room_id: '', sender: '', origin_server_ts: 0 })
}

function translateMessage(event: RoomEvent): MessageContent | null {
  const content = messageContent.safeParse(event.content)
  if (!content.success) return translatePoll(event.content)
  const relation = content.data['m.relates_to']
  if (relation?.rel_type === 'm.replace' && relation.event_id)
    return translateEdit(content.data, relation.event_id, event.content)
  return describe(content.data, event.content)
}

/** @param raw the same content, with what only some messages have */
function describe(content: MatrixContent, raw: Record<string, unknown>): MessageContent {
  return translateCall(content, raw) ?? translatePoll(raw) ?? describeMessage(content)
}

/** Bridges report a call by a text or a notice. */
function translateCall(
  { msgtype, body }: MatrixContent,
  raw: Record<string, unknown>,
): MessageContent | null {
  const action = actionMessage.safeParse(raw['com.beeper.action_message'])
  if (!action.success) return null
  const call = { type: action.data.call_type ?? null }
  return { ...blank('call.received', 'call', msgtype), message: body, call }
}

/** Also a text that has the poll beside it, for clients that know polls. */
function translatePoll(raw: Record<string, unknown>): MessageContent | null {
  const poll = pollOf(raw)
  if (!poll) return null
  const replyTo = relatesTo.parse(raw['m.relates_to'])?.['m.in_reply_to']?.event_id ?? null
  return {
    ...blank('message.received', 'poll', POLL_START_TYPES.stable),
    message: poll.question,
    replyTo,
    poll,
  }
}

function translateVote({ content }: RoomEvent): MessageContent | null {
  const relation = relatesTo.parse(content['m.relates_to'])
  const selections = selectionsOf(content)
  if (!relation?.event_id || !selections) return null
  const vote = { options: selections.map(id => ({ id, text: null })) }
  const blankVote = blank('poll.vote', 'vote', POLL_RESPONSE_TYPES.stable)
  return { ...blankVote, relatesTo: relation.event_id, vote }
}

function translatePollEnd({ content }: RoomEvent): MessageContent | null {
  const relation = relatesTo.parse(content['m.relates_to'])
  if (!relation?.event_id) return null
  return { ...blank('poll.ended', 'poll_end', POLL_END_TYPES.stable), relatesTo: relation.event_id }
}

function describeMessage(content: MatrixContent): MessageContent {
  const kind = kindOf(content)
  const media = MEDIA_KINDS.includes(kind) ? mediaOf(content) : null
  const relation = content['m.relates_to']
  const isReply = relation?.['m.in_reply_to'] !== undefined
  const mentions = new Set(content['m.mentions']?.user_ids)
  return {
    ...blank('message.received', kind, content.msgtype),
    // In a thread it is a fallback (client-server API, "Fallback for unthreaded clients").
    replyTo: relation?.rel_type === 'm.thread' ? null : (relation?.['m.in_reply_to']?.event_id ?? null),
    message: media ? captionOf(content) : isReply ? withoutReplyFallback(content.body) : content.body,
    media,
    location: kind === 'location' ? locationOf(content.geo_uri) : null,
    ...(mentions.size > 0 ? { mentions: [...mentions] } : {}),
  }
}

function kindOf(content: MatrixContent): MessageKind {
  const isVoice = content['org.matrix.msc3245.voice'] !== undefined || content['m.voice'] !== undefined
  if (content.msgtype === 'm.audio' && isVoice) return 'voice'
  // An unknown msgtype has a body to fall back on (client-server API, "m.room.message").
  return MESSAGE_TYPES[content.msgtype] ?? 'text'
}

function translateEdit(
  content: MatrixContent,
  editedEventId: string,
  raw: Record<string, unknown>,
): MessageContent {
  const newContent = content['m.new_content'] ?? {}
  const replacement = messageContent.safeParse(newContent)
  const inner = replacement.success ? describe(replacement.data, newContent) : describe(content, raw)
  // An edited call is no message either.
  const event = inner.event === 'message.received' ? 'message.edited' : inner.event
  return { ...inner, event, kind: 'edit', replyTo: null, relatesTo: editedEventId }
}

function translateSticker(event: RoomEvent): MessageContent | null {
  const content = stickerContent.safeParse(event.content)
  if (!content.success) return null
  const { body, url, info, 'm.relates_to': relation } = content.data
  return {
    ...blank('message.received', 'sticker', 'm.sticker'),
    message: body,
    replyTo: relation?.['m.in_reply_to']?.event_id ?? null,
    media: mediaFrom(url, body || 'sticker', info),
  }
}

function translateReaction(event: RoomEvent): MessageContent | null {
  const content = reactionContent.safeParse(event.content)
  if (!content.success) return null
  const { event_id: relatesTo, key } = content.data['m.relates_to']
  return { ...blank('message.reaction', 'reaction', 'm.reaction'), message: oneSpelling(key), relatesTo }
}

function translateRedaction(event: RoomEvent): MessageContent | null {
  // Room versions before 11 have `redacts` beside the content, later ones inside.
  const relatesTo = event.redacts ?? redactionContent.safeParse(event.content).data?.redacts
  return relatesTo ? { ...blank('message.deleted', 'redaction', 'm.room.redaction'), relatesTo } : null
}

/** Relations stand in clear beside what is encrypted (client-server API, "m.room.encrypted"). */
function translateEncrypted(event: RoomEvent): MessageContent {
  const relation = relatesTo.parse(event.content['m.relates_to'])
  return {
    ...blank(UNDECRYPTABLE, 'encrypted', 'm.room.encrypted'),
    replyTo: relation?.['m.in_reply_to']?.event_id ?? null,
    relatesTo: relation?.rel_type === 'm.replace' ? (relation.event_id ?? null) : null,
  }
}

function blank(event: MessageEventName, kind: MessageKind, type: string): MessageContent {
  return { event, kind, type, message: '', replyTo: null, relatesTo: null, media: null, location: null }
}

/** `body` is the caption if `filename` differs from it (client-server API, "Media captions"). */
function captionOf(content: MatrixContent): string {
  return content.filename !== undefined && content.filename !== content.body ? content.body : ''
}

function mediaOf(content: MatrixContent): MessageContent['media'] {
  if (!content.url?.startsWith('mxc://')) return null
  return mediaFrom(content.url, content.filename ?? content.body, content.info)
}

function mediaFrom(
  mxcUri: string,
  fileName: string,
  info: z.infer<typeof mediaInfo>,
): MessageContent['media'] {
  return {
    mxcUri,
    size: info.size,
    mime_type: info.mimetype,
    width: info.w,
    height: info.h,
    blur_hash: info['xyz.amorgan.blurhash'] ?? '',
    file_name: fileName,
    duration: info.duration,
  }
}

/** `geo:<latitude>,<longitude>[;…]` (RFC 5870). */
function locationOf(geoUri: string | undefined): MessageContent['location'] {
  const match = /^geo:(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)/.exec(geoUri ?? '')
  return match && geoUri ? { latitude: Number(match[1]), longitude: Number(match[2]), uri: geoUri } : null
}

/** Older clients begin a reply with the quoted message, each line after `> `, and an empty line. */
function withoutReplyFallback(body: string): string {
  if (!body.startsWith('> <') && !body.startsWith('> * <')) return body
  const end = body.indexOf('\n\n')
  const isFallback =
    end > 0 &&
    body
      .slice(0, end)
      .split('\n')
      .every(line => line.startsWith('> '))
  return isFallback ? body.slice(end + 2) : body
}
