/** A message as the content of its Matrix event (client-server API, "m.room.message"). */
import type { Media, Message } from '../../db/schema/index.ts'

/** @param file what `mediaId` refers to, and where it lies at the homeserver */
export function messageContent(
  message: Message,
  file: { media: Media; mxcUri: string } | undefined,
): Record<string, unknown> {
  const relation = message.replyTo
    ? { 'm.relates_to': { 'm.in_reply_to': { event_id: message.replyTo } } }
    : {}
  if (!file) return { msgtype: 'm.text', body: message.text ?? '', ...relation }
  const { media, mxcUri } = file
  return {
    msgtype: msgtypeOf(media.mimeType),
    // A body that differs from the file's name is its caption: one event, one message on the phone.
    body: message.text ?? media.fileName,
    filename: media.fileName,
    url: mxcUri,
    info: {
      mimetype: media.mimeType,
      size: media.sizeBytes,
      ...(media.width > 0 ? { w: media.width, h: media.height } : {}),
      ...(media.blurHash ? { 'xyz.amorgan.blurhash': media.blurHash } : {}),
    },
    ...relation,
  }
}

function msgtypeOf(mimeType: string): string {
  const [family] = mimeType.split('/')
  return family === 'image' || family === 'video' || family === 'audio' ? `m.${family}` : 'm.file'
}
