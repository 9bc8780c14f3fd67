/** Translates Matrix events into the network's terms, as far as it has them. */
import { z } from 'zod'
import type { ChatChange, MediaType, MessageType, Poll } from '../network/types.ts'
import { POLL, pollIn, voteIn } from './polls-and-calls.ts'

/** A pushed event. Unknown fields stay; other code handles unknown types. */
export const matrixEvent = z.object({
  event_id: z.string(),
  room_id: z.string(),
  sender: z.string(),
  type: z.string(),
  state_key: z.string().optional(),
  redacts: z.string().optional(),
  origin_server_ts: z.number().optional(),
  content: z.record(z.string(), z.unknown()).default({}),
  unsigned: z
    .object({ prev_content: z.record(z.string(), z.unknown()).optional().catch(undefined) })
    .optional(),
})
export type MatrixEvent = z.infer<typeof matrixEvent>

/** An event for the network; its media still is on the homeserver, its relations name events. */
export interface Incoming {
  type: MessageType
  text: string
  media?: { mxc: string; name: string; mimeType: string; sizeBytes: number; durationMs: number | null }
  replyToEvent?: string
  /** Event that a reaction, edit or redaction refers to. */
  targetEvent?: string
  emoji?: string
  latitude?: number
  longitude?: number
  poll?: Poll
  /** Votes: ids of the options chosen. */
  answers?: readonly string[]
  change?: ChatChange
  /** Blocks the other of a direct chat, or no longer. */
  isBlocked?: boolean
  /** The text with its formatting. */
  html?: string
  /** Matrix users that may be mentioned; absent: any. */
  mentionable?: readonly string[]
  isWithoutPreview?: boolean
}

export interface Unsupported {
  unsupported: string
}

const relations = z
  .object({
    rel_type: z.string().optional(),
    event_id: z.string().optional(),
    key: z.string().optional(),
    is_falling_back: z.boolean().optional(),
    'm.in_reply_to': z.object({ event_id: z.string() }).optional(),
  })
  .optional()

const reactionSchema = z.object({
  'm.relates_to': z.object({ rel_type: z.literal('m.annotation'), event_id: z.string(), key: z.string() }),
})

const bodySchema = z.object({
  msgtype: z.string().default('m.text'),
  body: z.string().default(''),
  filename: z.string().optional(),
  url: z.string().optional(),
  geo_uri: z.string().optional(),
  info: z
    .object({
      mimetype: z.string().optional(),
      size: z.number().catch(0).optional(),
      duration: z.number().int().nonnegative().optional(),
      'fi.mau.gif': z.boolean().optional().catch(undefined),
    })
    .optional(),
  'org.matrix.msc3245.voice': z.unknown().optional(),
  'org.matrix.msc3245.voice.v2': z.unknown().optional(),
  'm.relates_to': relations,
  format: z.string().optional(),
  formatted_body: z.string().optional(),
  'm.mentions': z
    .object({ user_ids: z.array(z.string()).default([]) })
    .optional()
    .catch(undefined),
  'com.beeper.linkpreviews': z.array(z.unknown()).optional(),
})

const messageSchema = bodySchema.extend({ 'm.new_content': bodySchema.optional() })

const TEXT_TYPES: Record<string, MessageType> = { 'm.text': 'text', 'm.notice': 'notice', 'm.emote': 'emote' }
const MEDIA_TYPES: Record<string, MediaType> = {
  'm.image': 'image',
  'm.video': 'video',
  'm.audio': 'audio',
  'm.file': 'file',
}

/** Event types that are a person's message, whether supported or not. */
export const MESSAGE_EVENTS: ReadonlySet<string> = new Set([
  'm.room.message',
  'm.sticker',
  'm.reaction',
  'm.room.redaction',
  'm.room.encrypted',
  `${POLL}.start`,
  `${POLL}.response`,
])

export function fromMatrix(event: MatrixEvent): Incoming | Unsupported {
  switch (event.type) {
    case 'm.reaction':
      return fromReaction(event)
    case 'm.room.redaction':
      return fromRedaction(event)
    case 'm.sticker':
      return fromMessage(event, 'sticker')
    case `${POLL}.start`:
      return fromPoll(event)
    case `${POLL}.response`:
      return fromVote(event)
    case 'm.room.encrypted':
      return { unsupported: 'this bridge does not do encryption' }
    default:
      return fromMessage(event)
  }
}

function fromReaction(event: MatrixEvent): Incoming | Unsupported {
  const parsed = reactionSchema.safeParse(event.content)
  if (!parsed.success) return { unsupported: 'the reaction names no event or no emoji' }
  const { event_id, key } = parsed.data['m.relates_to']
  return { type: 'reaction', text: '', targetEvent: event_id, emoji: key }
}

function fromRedaction(event: MatrixEvent): Incoming | Unsupported {
  const target = event.redacts ?? event.content.redacts
  if (typeof target !== 'string') return { unsupported: 'the redaction names no event' }
  return { type: 'delete', text: '', targetEvent: target }
}

function fromPoll({ content }: MatrixEvent): Incoming | Unsupported {
  const poll = pollIn(content)
  return poll ? { type: 'poll', text: poll.question, poll } : { unsupported: 'the poll is malformed' }
}

function fromVote({ content }: MatrixEvent): Incoming | Unsupported {
  const vote = voteIn(content)
  if (!vote) return { unsupported: 'the vote names no poll or no options' }
  return { type: 'vote', text: '', targetEvent: vote.pollEvent, answers: vote.answers }
}

function fromMessage(event: MatrixEvent, sticker?: 'sticker'): Incoming | Unsupported {
  const parsed = messageSchema.safeParse(event.content)
  if (!parsed.success)
    return { unsupported: `the message's content is malformed: ${z.prettifyError(parsed.error)}` }
  const content = parsed.data
  const relation = content['m.relates_to']
  if (relation?.rel_type === 'm.replace' && relation.event_id !== undefined) {
    const edited = content['m.new_content'] ?? content
    const isFile = edited.url !== undefined
    const text = isFile ? captionOf(edited) : edited.body
    return { type: 'edit', text, ...formattingOf(edited), targetEvent: relation.event_id }
  }
  const incoming = fromBody(content, sticker)
  if ('unsupported' in incoming) return incoming
  const quoted = relation?.is_falling_back === true ? undefined : relation?.['m.in_reply_to']?.event_id
  return quoted === undefined
    ? incoming
    : { ...incoming, text: withoutFallback(incoming.text), replyToEvent: quoted }
}

function fromBody(content: z.infer<typeof bodySchema>, sticker?: 'sticker'): Incoming | Unsupported {
  if (content.msgtype === 'm.location') return fromLocation(content.geo_uri, content.body)
  const mediaType = sticker ?? MEDIA_TYPES[content.msgtype]
  if (mediaType === undefined) {
    const type = TEXT_TYPES[content.msgtype]
    if (!type) return { unsupported: `unknown message type ${content.msgtype}` }
    const isWithoutPreview = content['com.beeper.linkpreviews']?.length === 0
    const preview = isWithoutPreview ? { isWithoutPreview } : {}
    return { type, text: content.body, ...formattingOf(content), ...preview }
  }
  if (content.url === undefined) return { unsupported: 'the file has no url' }
  const name = content.filename ?? content.body
  const isVoice =
    content['org.matrix.msc3245.voice'] !== undefined || content['org.matrix.msc3245.voice.v2'] !== undefined
  return {
    type: content.info?.['fi.mau.gif'] ? 'gif' : mediaType === 'audio' && isVoice ? 'voice' : mediaType,
    text: captionOf(content),
    ...(captionOf(content) === '' ? {} : formattingOf(content)),
    media: {
      mxc: content.url,
      name: name === '' ? 'file' : name,
      mimeType: content.info?.mimetype ?? '',
      sizeBytes: content.info?.size ?? 0,
      durationMs: content.info?.duration ?? null,
    },
  }
}

/** A body that differs from the file's name is a caption. */
function captionOf({ filename, body }: z.infer<typeof bodySchema>): string {
  return filename !== undefined && filename !== body ? body : ''
}

function formattingOf(content: z.infer<typeof bodySchema>): Pick<Incoming, 'html' | 'mentionable'> {
  const { format, formatted_body: html, 'm.mentions': mentions } = content
  if (format !== 'org.matrix.custom.html' || html === undefined) return {}
  return { html, ...(mentions ? { mentionable: mentions.user_ids } : {}) }
}

function fromLocation(geoUri: string | undefined, text: string): Incoming | Unsupported {
  const [, latitude, longitude] = /^geo:(-?[\d.]+),(-?[\d.]+)/.exec(geoUri ?? '') ?? []
  if (latitude === undefined || longitude === undefined) return { unsupported: 'the location has no geo_uri' }
  return { type: 'location', text, latitude: Number(latitude), longitude: Number(longitude) }
}

/** Removes the quoted message that older clients repeat in the body, on lines with `>`. */
function withoutFallback(text: string): string {
  return /^> <[^>\n]+>/.test(text) ? text.replace(/^(?:> ?.*\n)+\n?/, '') : text
}
