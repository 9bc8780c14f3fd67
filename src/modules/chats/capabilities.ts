/**
 * Decides by the features of a chat in which form a message goes there, or why its network doesn't
 * take it.
 */
import type { Media } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { networkName } from '../../domain/network-names.ts'
import {
  type FeatureLevel,
  type FileFeatures,
  type FileKind,
  REFUSED,
  type RoomFeatures,
  SUBSTITUTED,
  TAKEN_IN_PART,
} from '../../domain/room-features.ts'
import type { SendContent } from '../../domain/views/message-content.ts'
import { durationInWords, sizeInWords } from '../../lib/amounts.ts'
import { isSameType, OGG_OPUS } from '../../lib/media-type.ts'

/** As com.beeper.room_features has them below `state` and `member_actions`, and beside them. */
type SettingFeature =
  | 'm.room.name'
  | 'm.room.topic'
  | 'm.room.avatar'
  | 'com.beeper.disappearing_timer'
  | 'invite'
  | 'kick'
  | 'leave'
  | 'block_user'

/** Something that a chat doesn't take. */
export interface Unsupported {
  /** As com.beeper.room_features names it. */
  feature:
    | 'max_text_length'
    | 'max_size'
    | 'max_duration'
    | 'max_width'
    | 'max_height'
    | 'mime_types'
    | 'file'
    | 'reply'
    | 'mentions'
    | 'location_message'
    | 'poll'
    | 'poll_max_options'
    | 'poll_option_max_length'
    | 'edit'
    | 'edit_max_age'
    | 'edit_max_count'
    | 'delete'
    | 'delete_max_age'
    | 'reaction'
    | 'allowed_reactions'
    | SettingFeature
  /** In characters, bytes, seconds or pixels; null: it isn't taken at all. */
  limit: number | null
  /** The limit for people, behind the name of the network. */
  words: string
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

export type PlannedFile = Pick<Media, 'mimeType' | 'sizeBytes' | 'durationMs' | 'width' | 'height'>

export interface PlannedMessage {
  /** The caption, if there is a file. */
  text: string | null
  content?: SendContent | null | undefined
  file: PlannedFile | undefined
  isReply: boolean
}

/**
 * @param features null where the bridge doesn't say
 * @returns how its file goes, null without one; or why the chat takes the message in no form
 */
export function planMessage(
  { text, content, file, isReply }: PlannedMessage,
  features: RoomFeatures | null,
): { file: FilePlan | null } | { unsupported: Unsupported } {
  if (isReply && features?.reply === REFUSED)
    return { unsupported: { feature: 'reply', limit: null, words: 'takes no replies here' } }
  const refused = content && features && unsupportedPart(content, features)
  if (refused) return { unsupported: refused }
  if (file) {
    const plan = planFile(file, text, features, content?.as)
    return 'unsupported' in plan ? plan : { file: plan }
  }
  const unsupported = unsupportedText(text ?? '', features)
  return unsupported ? { unsupported } : { file: null }
}

/** @returns null when the network takes the message's mentions, place and poll */
function unsupportedPart(
  { mentions, location, poll }: SendContent,
  features: RoomFeatures,
): Unsupported | null {
  if (mentions && features.mentions !== null && features.mentions < TAKEN_IN_PART)
    return { feature: 'mentions', limit: null, words: 'takes no mentions here' }
  if (location && features.location === REFUSED)
    return { feature: 'location_message', limit: null, words: 'takes no locations here' }
  if (!poll || features.poll === null) return null
  if (features.poll < TAKEN_IN_PART) return { feature: 'poll', limit: null, words: 'takes no polls here' }
  const { maxPollOptions: most, maxPollOptionLength: longest } = features
  if (most !== null && poll.options.length > most) {
    const words = `takes polls of at most ${most} options here, not ${poll.options.length}`
    return { feature: 'poll_max_options', limit: most, words }
  }
  const length = Math.max(...poll.options.map(characters))
  if (longest === null || length <= longest) return null
  const words = `takes options of a poll of at most ${longest} characters here, not ${length}`
  return { feature: 'poll_option_max_length', limit: longest, words }
}

/** The refusal of a send, for the caller. */
export function unsupportedByChat(platform: string, { feature, limit, words }: Unsupported): GatewayError {
  const details = { feature, limit }
  return new GatewayError('unsupported_by_chat', `${networkName(platform)} ${words}`, undefined, details)
}

/** The `reason` of a message that its chat takes in no form. */
export function unsupportedReason(platform: string | null, { words }: Unsupported): string {
  return `unsupported_by_chat: ${networkName(platform)} ${words}`
}

/**
 * @param features null where the bridge doesn't say
 * @param as the only kind that will do; undefined: the best
 * @returns the plan, or why the network takes neither the file nor, as text, its caption
 */
export function planFile(
  file: PlannedFile,
  caption: string | null,
  features: RoomFeatures | null,
  as?: FileKind,
): FilePlan | { unsupported: Unsupported } {
  const noVoice = as === 'voice' ? unsupportedVoice(file) : null
  if (noVoice) return { unsupported: noVoice }
  const files = features?.files ?? COMMON_FILES
  const fits = (as ? [as] : kindsOf(file)).map(kind => fitOf(file, kind, files[kind]))
  const best = [TAKEN_IN_PART, SUBSTITUTED].flatMap(least => fits.find(fit => fit.level >= least) ?? [])[0]
  if (!best) return { unsupported: closestOf(fits) }
  const { kind, mimeType } = best
  const isCaptionApart = caption !== null && !takesCaption(files[kind], caption)
  const unsupported = isCaptionApart ? unsupportedText(caption, features) : null
  return unsupported ? { unsupported } : { kind, mimeType, isCaptionApart }
}

/** @returns null when the file can be a voice message, which phones record in one format */
export function unsupportedVoice({
  mimeType,
  durationMs,
}: Pick<PlannedFile, 'mimeType' | 'durationMs'>): Unsupported | null {
  if (mimeType === OGG_OPUS && durationMs > 0) return null
  const found = mimeType === OGG_OPUS ? 'a recording that can’t be read' : mimeType
  return {
    feature: 'mime_types',
    limit: null,
    words: `takes voice messages as Ogg with Opus alone, not ${found}`,
  }
}

/** @returns null when the network takes the text, or the bridge doesn't say */
export function unsupportedText(text: string, features: RoomFeatures | null): Unsupported | null {
  const limit = features?.maxTextLength ?? null
  // A character is at least one UTF-16 unit, so most texts needn't be counted.
  if (limit === null || text.length <= limit) return null
  const length = characters(text)
  if (length <= limit) return null
  const words = `takes texts of at most ${limit} characters here, not ${length}`
  return { feature: 'max_text_length', limit, words }
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
  sticker: commonly('image/webp', 'image/png', 'image/jpeg'),
  gif: commonly('video/mp4', 'image/gif'),
  file: commonly('*/*'),
}

function commonly(...types: string[]): FileFeatures {
  return {
    mimeTypes: Object.fromEntries(types.map(type => [type, 2])),
    caption: 2,
    maxCaptionLength: null,
    maxSizeBytes: null,
    maxDurationMs: null,
    maxWidth: null,
    maxHeight: null,
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
  /** Why the level is that low. */
  problem: Unsupported
}

function fitOf(file: PlannedFile, kind: FileKind, features: FileFeatures | undefined): Fit {
  const { mimeType, sizeBytes, durationMs, width, height } = file
  const refused = (feature: Unsupported['feature'], limit: number | null, words: string): Fit => {
    return { kind, level: REFUSED, mimeType, problem: { feature, limit, words } }
  }
  const noun = NOUNS[kind]
  if (!features) return refused('file', null, `takes no ${noun} here`)
  const { maxSizeBytes, maxDurationMs, maxWidth, maxHeight } = features
  if (maxSizeBytes !== null && sizeBytes > maxSizeBytes)
    return refused('max_size', maxSizeBytes, `takes ${noun} of at most ${sizeInWords(maxSizeBytes)} here`)
  if (maxDurationMs !== null && durationMs > maxDurationMs) {
    const words = `takes ${noun} of at most ${durationInWords(maxDurationMs)} here`
    return refused('max_duration', maxDurationMs / 1000, words)
  }
  if (maxWidth !== null && width > maxWidth)
    return refused('max_width', maxWidth, `takes ${noun} of at most ${maxWidth} pixels across here`)
  if (maxHeight !== null && height > maxHeight)
    return refused('max_height', maxHeight, `takes ${noun} of at most ${maxHeight} pixels down here`)
  const listed = listedAs(mimeType, Object.keys(features.mimeTypes))
  const level = listed === null ? REFUSED : (features.mimeTypes[listed] ?? REFUSED)
  const isSpelledOtherwise =
    listed !== null && !listed.endsWith('/*') && essenceOf(listed) !== essenceOf(mimeType)
  const { problem } = refused('mime_types', null, `takes no ${noun} of the type ${mimeType} here`)
  return { kind, level, mimeType: isSpelledOtherwise ? listed : mimeType, problem }
}

/** @returns the limit that the sender can do most about: with a number, of the last resort */
function closestOf(fits: readonly Fit[]): Unsupported {
  const problems = fits.map(fit => fit.problem)
  const closest = problems.findLast(({ limit }) => limit !== null) ?? problems[0]
  if (!closest) throw new Error('a file has at least one kind')
  return closest
}

const NOUNS: Readonly<Record<FileKind, string>> = {
  image: 'images',
  video: 'videos',
  audio: 'audio',
  voice: 'voice messages',
  sticker: 'stickers',
  gif: 'GIFs',
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
