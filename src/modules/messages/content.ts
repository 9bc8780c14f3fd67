/** A message as the content of its Matrix event (client-server API, "m.room.message"). */
import type { Media, Message } from '../../db/schema/index.ts'
import type { FilePlan } from './file-plan.ts'

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
      ...(media.blurHash ? { 'xyz.amorgan.blurhash': media.blurHash } : {}),
    },
    ...relation,
  }
}

const MSGTYPES: Readonly<Record<FilePlan['kind'], string>> = {
  image: 'm.image',
  video: 'm.video',
  audio: 'm.audio',
  voice: 'm.audio',
  file: 'm.file',
}
