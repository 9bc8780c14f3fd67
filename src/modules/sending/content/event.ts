/**
 * A message as its Matrix event (client-server API, "m.room.message"): its text, its file in the
 * form that the chat's network takes, and the event that it answers.
 */
import type { Media, Message } from '../../../db/schema/index.ts'
import type { FilePlan } from '../../chats/capabilities.ts'

/** A file at the homeserver, and how the chat's network takes it. */
export interface PlacedFile {
  media: Media
  mxcUri: string
  plan: FilePlan
}

/** @param file what `mediaId` refers to */
export function messageContent(message: Message, file: PlacedFile | undefined): Record<string, unknown> {
  const relation = message.replyTo
    ? { 'm.relates_to': { 'm.in_reply_to': { event_id: message.replyTo } } }
    : {}
  if (!file) return { msgtype: 'm.text', body: message.text ?? '', ...relation }
  const { media, mxcUri, plan } = file
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
    ...relation,
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
