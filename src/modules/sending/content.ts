/**
 * A message as its Matrix event (client-server API, "m.room.message"): its text, its file in the
 * form that the chat's network takes, and the event that it answers.
 */
import type { Device, Media, Message } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { MessageStatus } from '../../domain/states.ts'
import type { FilePlan } from '../chats/capabilities.ts'
import type { AnsweredMessage, MessageRepository } from './message-repository.ts'

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

const WAITING: readonly MessageStatus[] = ['queued', 'sending']
const ENDED: readonly MessageStatus[] = ['failed', 'cancelled']

/** @throws GatewayError bad_request when it can't be the id of a message */
export function checkReplyId(replyId: string): void {
  if (/^(\$|msg_)./.test(replyId)) return
  throw new GatewayError(
    'bad_request',
    'reply_id: expected the id of a message: the $… that webhooks tell, or the msg_… that a send was answered with',
  )
}

/** @throws GatewayError bad_request unless the device can answer it */
export async function checkReply(
  repository: Pick<MessageRepository, 'hasEvent' | 'answered'>,
  device: Device,
  replyId: string,
): Promise<void> {
  if (replyId.startsWith('$')) {
    if (!(await repository.hasEvent(device, replyId))) throw unknown(replyId, device)
    return
  }
  const answered = await repository.answered(device.identityId, replyId)
  if (answered?.deviceRowId !== device.id) throw unknown(replyId, device)
  if (ENDED.includes(answered.status))
    throw new GatewayError('bad_request', `reply_id: ${notThere(answered)}`)
}

/**
 * Finds the event that a message quotes when it is sent, as its target may itself have been queued.
 * @param sentJustNow events of messages whose sending isn't stored yet, by the messages' ids
 * @returns null when it answers nothing, `waits` as long as its target is still to be sent
 * @throws GatewayError not_found when that was never sent
 */
export async function quotedEvent(
  repository: Pick<MessageRepository, 'answered'>,
  { identityId, replyTo }: Pick<Message, 'identityId' | 'replyTo'>,
  sentJustNow: ReadonlyMap<string, string>,
): Promise<{ eventId: string | null } | 'waits'> {
  if (!replyTo?.startsWith('msg_')) return { eventId: replyTo }
  const justNow = sentJustNow.get(replyTo)
  if (justNow !== undefined) return { eventId: justNow }
  const answered = await repository.answered(identityId, replyTo)
  if (answered && WAITING.includes(answered.status)) return 'waits'
  if (!answered?.eventId || ENDED.includes(answered.status))
    throw new GatewayError('not_found', notThere(answered ?? { id: replyTo, status: 'failed' }))
  return { eventId: answered.eventId }
}

function unknown(replyId: string, { platform, deviceId }: Device): GatewayError {
  return new GatewayError(
    'bad_request',
    `reply_id: the ${platform} device ${deviceId} neither received nor sent a message ${replyId}`,
  )
}

function notThere({ id, status }: Pick<AnsweredMessage, 'id' | 'status'>): string {
  return `the message ${id} can't be answered, as its sending ${status === 'cancelled' ? 'was cancelled' : 'failed'}`
}
