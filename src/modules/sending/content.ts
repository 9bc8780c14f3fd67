/**
 * A message as its Matrix event (client-server API, "m.room.message"): its text, its file in the
 * form that the chat's network takes, and the event that it answers.
 */
import type { Device, Media, Message } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import {
  type FeatureLevel,
  type FileFeatures,
  type FileKind,
  REFUSED,
  type RoomFeatures,
  SUBSTITUTED,
  TAKEN_IN_PART,
} from '../../domain/room-features.ts'
import type { MessageStatus } from '../../domain/states.ts'
import { isSameType, OGG_OPUS } from '../../lib/media-type.ts'
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

export interface FilePlan {
  kind: FileKind
  /** As the network spells it. */
  mimeType: string
  /**
   * True when the caption goes as a message of its own behind the file, as the network would drop
   * it with the file.
   */
  isCaptionApart: boolean
}

type PlannedFile = Pick<Media, 'mimeType' | 'sizeBytes' | 'durationMs'>

/**
 * @param features null where the bridge doesn't say
 * @returns the plan, or why the network takes neither the file nor, as text, its caption
 */
export function planFile(
  file: PlannedFile,
  caption: string | null,
  features: RoomFeatures | null | undefined,
): FilePlan | { refused: string } {
  const files = features?.files ?? COMMON_FILES
  const fits = kindsOf(file).map(kind => fitOf(file, kind, files[kind]))
  const best = [TAKEN_IN_PART, SUBSTITUTED].flatMap(least => fits.find(fit => fit.level >= least) ?? [])[0]
  if (!best) return { refused: `${UNSUPPORTED}${fits.map(fit => fit.problem).join('; ')}` }
  const { kind, mimeType } = best
  const isCaptionApart = caption !== null && !takesCaption(files[kind], caption)
  const refused = isCaptionApart ? textRefusal(caption, features) : null
  return refused === null ? { kind, mimeType, isCaptionApart } : { refused: `${UNSUPPORTED}${refused}` }
}

/** Begins the reason of a message that its chat's network takes in no form. */
export const UNSUPPORTED = 'unsupported_by_chat: '

/** @returns why the network won't have the text, alone or with its file; null as `textRefusal` */
export function textRefusalWith(
  file: PlannedFile | undefined,
  text: string,
  features: RoomFeatures | null,
): string | null {
  const isRefused = !file || 'refused' in planFile(file, text, features)
  return isRefused ? textRefusal(text, features) : null
}

/** @returns why the network won't have the text, null when it takes it or doesn't say */
export function textRefusal(text: string, features: RoomFeatures | null | undefined): string | null {
  const limit = features?.maxTextLength ?? null
  // A character is at least one UTF-16 unit, so most texts needn't be counted.
  if (limit === null || text.length <= limit) return null
  const length = characters(text)
  if (length <= limit) return null
  return `text: the chat takes at most ${limit} characters, not ${length}`
}

/**
 * Types that nearly every network shows as such. Where a bridge states nothing, any other goes as a
 * file.
 */
const COMMON_FILES: NonNullable<RoomFeatures['files']> = {
  image: commonly('image/jpeg', 'image/png', 'image/webp', 'image/gif'),
  video: commonly('video/mp4', 'video/3gpp', 'video/quicktime', 'video/webm'),
  audio: commonly('audio/mpeg', 'audio/mp4', 'audio/aac', 'audio/amr', 'audio/ogg'),
  voice: commonly(OGG_OPUS),
  file: commonly('*/*'),
}

function commonly(...types: string[]): FileFeatures {
  return {
    mimeTypes: Object.fromEntries(types.map(type => [type, 2])),
    caption: 2,
    maxCaptionLength: null,
    maxSizeBytes: null,
    maxDurationMs: null,
  }
}

/** The kinds that a file can be sent as, the best first. */
function kindsOf({ mimeType, durationMs }: PlannedFile): FileKind[] {
  // A recording that can't be read is no voice message: phones would show one that can't be played.
  if (mimeType === OGG_OPUS && durationMs > 0) return ['voice', 'audio', 'file']
  const [family] = mimeType.split('/')
  return family === 'image' || family === 'video' || family === 'audio' ? [family, 'file'] : ['file']
}

interface Fit {
  kind: FileKind
  level: FeatureLevel
  mimeType: string
  /** Why the level is that low, for people. */
  problem: string
}

function fitOf(file: PlannedFile, kind: FileKind, features: FileFeatures | undefined): Fit {
  const { mimeType, sizeBytes, durationMs } = file
  const refused = (problem: string): Fit => ({ kind, level: REFUSED, mimeType, problem })
  if (!features) return refused(`the chat takes no ${NOUNS[kind]}`)
  const { maxSizeBytes, maxDurationMs } = features
  if (maxSizeBytes !== null && sizeBytes > maxSizeBytes)
    return refused(`the chat takes ${NOUNS[kind]} of at most ${maxSizeBytes} bytes, not ${sizeBytes}`)
  if (maxDurationMs !== null && durationMs > maxDurationMs)
    return refused(`the chat takes ${NOUNS[kind]} of at most ${maxDurationMs / 1000} seconds`)
  const listed = listedAs(mimeType, Object.keys(features.mimeTypes))
  const level = listed === null ? REFUSED : (features.mimeTypes[listed] ?? REFUSED)
  const isSpelledOtherwise =
    listed !== null && !listed.endsWith('/*') && essenceOf(listed) !== essenceOf(mimeType)
  return {
    kind,
    level,
    mimeType: isSpelledOtherwise ? listed : mimeType,
    problem: `the chat takes no ${NOUNS[kind]} of type ${mimeType}`,
  }
}

const NOUNS: Readonly<Record<FileKind, string>> = {
  image: 'images',
  video: 'videos',
  audio: 'audio',
  voice: 'voice messages',
  file: 'files',
}

/**
 * @returns the entry of the list that a type falls under, null when none does; the closest first,
 * as bridgev2 looks it up
 */
function listedAs(type: string, list: readonly string[]): string | null {
  const [family] = type.split('/')
  const same = list.filter(listed => isSameType(listed, type))
  return (
    same.find(listed => listed.includes(';') && compact(listed) === compact(type)) ??
    same.find(listed => !listed.includes(';')) ??
    list.find(listed => listed === `${family}/*`) ??
    list.find(listed => listed === '*/*') ??
    null
  )
}

function essenceOf(type: string): string {
  return compact(type.split(';')[0] ?? '')
}

function compact(type: string): string {
  return type.toLowerCase().replaceAll(/[\s"]/g, '')
}

function takesCaption(features: FileFeatures | undefined, caption: string): boolean {
  if (!features || features.caption < TAKEN_IN_PART) return false
  return features.maxCaptionLength === null || characters(caption) <= features.maxCaptionLength
}

/**
 * Counts code points, the largest characters that any network counts: a text over the limit by this
 * count is over it on all.
 */
function characters(text: string): number {
  return [...text].length
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
