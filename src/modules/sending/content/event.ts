/**
 * A message as its Matrix event: its text, its file in the form that the chat's network takes, its
 * place or poll, and the event that it answers.
 */
import type { Media, Message } from '../../../db/schema/index.ts'
import type { SendContent } from '../../../domain/views/message-content.ts'
import type { FilePlan } from '../../chats/capabilities.ts'
import { htmlOfMarkdown, htmlOfText, type Mentioned } from './formatting.ts'

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
export async function messageEvent(
  message: Message,
  file: PlacedFile | undefined,
  mentioned: Mentioned,
): Promise<MatrixEvent> {
  const { content, replyTo } = message
  const relation = replyTo ? { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo } } } : {}
  if (content?.poll) return { type: POLL_START, content: { ...pollContent(content.poll), ...relation } }
  const type = file?.plan.kind === 'sticker' ? 'm.sticker' : 'm.room.message'
  return { type, content: { ...(await bodyOf(message, file, mentioned)), ...relation } }
}

async function bodyOf(
  message: Message,
  file: PlacedFile | undefined,
  mentioned: Mentioned,
): Promise<Record<string, unknown>> {
  const location = message.content?.location
  if (location) return locationContent(location)
  return file ? fileContent(message, file, mentioned) : textContent(message, mentioned)
}

/** The message's text, or the caption that goes behind its file, as an event of its own. */
export async function textContent(message: Message, mentioned: Mentioned): Promise<Record<string, unknown>> {
  return { msgtype: 'm.text', ...(await textFields(message.text ?? '', message.content, mentioned)) }
}

/** Most texts are nothing but a body. */
async function textFields(
  text: string,
  content: SendContent | null,
  mentioned: Mentioned,
): Promise<Record<string, unknown>> {
  if (content === null) return { body: text }
  const { format, mentions, link_preview } = content
  const html = format ? await htmlOfMarkdown(text, mentioned) : mentions && htmlOfText(text, mentioned)
  return {
    body: text,
    ...(html === undefined ? {} : { format: 'org.matrix.custom.html', formatted_body: html }),
    ...(mentions ? { 'm.mentions': { user_ids: [...new Set(mentioned.values())] } } : {}),
    // Without the field a bridge looks for links by itself.
    ...(link_preview === false ? { 'com.beeper.linkpreviews': [] } : {}),
  }
}

async function fileContent(
  { text, content }: Message,
  { media, mxcUri, plan }: PlacedFile,
  mentioned: Mentioned,
): Promise<Record<string, unknown>> {
  const caption = plan.isCaptionApart ? null : text
  const msgtype = MSGTYPES[plan.kind]
  return {
    ...(msgtype === null ? {} : { msgtype }),
    // A body that differs from the file's name is its caption: one event, one message on the phone.
    ...(caption === null ? { body: media.fileName } : await textFields(caption, content, mentioned)),
    filename: media.fileName,
    url: mxcUri,
    info: {
      mimetype: plan.mimeType,
      size: media.sizeBytes,
      ...(media.width > 0 ? { w: media.width, h: media.height } : {}),
      ...(media.durationMs > 0 ? { duration: media.durationMs } : {}),
      ...(media.blurHash ? { 'xyz.amorgan.blurhash': media.blurHash } : {}),
      ...(plan.kind === 'gif' ? { 'fi.mau.gif': true } : {}),
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

/** Null where the event's type says it. */
const MSGTYPES: Readonly<Record<FilePlan['kind'], string | null>> = {
  image: 'm.image',
  video: 'm.video',
  audio: 'm.audio',
  voice: 'm.audio',
  gif: 'm.video',
  sticker: null,
  file: 'm.file',
}
