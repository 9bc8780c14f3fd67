/**
 * Decides how a file is sent in a chat, by the features of the chat's network: as its own kind, as
 * a file to download, or not at all.
 */
import type { Media } from '../../db/schema/index.ts'
import {
  type FeatureLevel,
  type FileFeatures,
  type FileKind,
  REFUSED,
  type RoomFeatures,
  SUBSTITUTED,
  TAKEN_IN_PART,
} from '../../domain/room-features.ts'
import { isSameType, OGG_OPUS } from '../../lib/media-type.ts'

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

/** @returns why the network won't have the text, by itself or with its file; null as `textRefusal` */
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
