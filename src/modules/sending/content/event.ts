/**
 * A message as its Matrix event: its text, its file in the form that the chat's network takes, its
 * place or poll, and the event that it answers.
 */
import type { Media, Message } from '../../../db/schema/index.ts'
import type { SendContent } from '../../../domain/views/message-content.ts'
import type { FilePlan } from '../../chats/capabilities.ts'

/** A file at the homeserver, and how the chat's network takes it. */
export interface PlacedFile {
  media: Media
  mxcUri: string
  plan: FilePlan
}

type Location = NonNullable<SendContent['location']>
type NewPoll = NonNullable<SendContent['poll']>

export interface MatrixEvent {
  type: string
  content: Record<string, unknown>
}

/** @param file what `mediaId` refers to */
export function messageEvent(message: Message, file: PlacedFile | undefined): MatrixEvent {
  const { content, replyTo } = message
  const relation = replyTo ? { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo } } } : {}
  if (content?.poll) return { type: POLL_START, content: { ...pollContent(content.poll), ...relation } }
  return { type: 'm.room.message', content: { ...bodyOf(message, file), ...relation } }
}

function bodyOf(message: Message, file: PlacedFile | undefined): Record<string, unknown> {
  const location = message.content?.location
  if (location) return locationContent(location)
  return file ? fileContent(message, file) : { msgtype: 'm.text', body: message.text ?? '' }
}

function fileContent(message: Message, { media, mxcUri, plan }: PlacedFile): Record<string, unknown> {
  return {
    msgtype: MSGTYPES[plan.kind],
    // A body that differs from the file's name is its caption: one event, one message on the phone.
    body: (plan.isCaptionApart ? null : message.text) ?? media.fileName,
    filename: media.fileName,
    url: mxcUri,
    info: {
      mimetype: plan.mimeType,
      size: media.sizeBytes,
      ...(media.width > 0 ? { w: media.width, h: media.height } : {}),
      ...(media.durationMs > 0 ? { duration: media.durationMs } : {}),
      ...(media.blurHash ? { 'xyz.amorgan.blurhash': media.blurHash } : {}),
    },
    ...(plan.kind === 'voice' ? voiceFields(media) : {}),
  }
}

/** Bridges show the body beside the place, so without a name it says where that is. */
function locationContent({ latitude, longitude, name }: Location): Record<string, unknown> {
  // As a whole number of millionths, a tiny one isn't written with an exponent (RFC 5870).
  const [lat, long] = [latitude, longitude].map(degrees => String(Number(degrees.toFixed(6))))
  return { msgtype: 'm.location', body: name ?? `${lat}, ${long}`, geo_uri: `geo:${lat},${long}` }
}

const POLL_START = 'org.matrix.msc3381.poll.start'
const TEXT = 'org.matrix.msc1767.text'

/** MSC3381, with a text for those who know no polls. An option's id is its place, from 1 on. */
function pollContent({ question, options, max_selections: most = 1 }: NewPoll): Record<string, unknown> {
  const lines = options.map((option, index) => `${index + 1}. ${option}`)
  return {
    [POLL_START]: {
      kind: 'org.matrix.msc3381.poll.disclosed',
      max_selections: most,
      question: { [TEXT]: question },
      answers: options.map((option, index) => ({ id: String(index + 1), [TEXT]: option })),
    },
    [TEXT]: [question, ...lines].join('\n'),
  }
}

/** MSC3245 and MSC3246: recorded on the spot, in the terms of MSC1767. */
function voiceFields({ durationMs, waveform }: Media): Record<string, unknown> {
  return {
    'org.matrix.msc3245.voice': {},
    'org.matrix.msc1767.audio': { duration: durationMs, waveform: waveform ?? [] },
  }
}

const MSGTYPES: Readonly<Record<FilePlan['kind'], string>> = {
  image: 'm.image',
  video: 'm.video',
  audio: 'm.audio',
  voice: 'm.audio',
  file: 'm.file',
}
