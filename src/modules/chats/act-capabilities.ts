/** Decides by the features of a chat whether its network takes an act on a message. */
import { type FeatureLevel, type RoomFeatures, TAKEN_IN_PART } from '../../domain/room-features.ts'
import type { SendContent } from '../../domain/views/message-content.ts'
import { durationInWords } from '../../lib/amounts.ts'
import { type PlannedFile, planMessage, type Unsupported } from './capabilities.ts'

/** Emoji listed in an answer: networks that restrict them mostly have about as many. */
const MAX_LISTED = 30

/**
 * @param features null where the bridge doesn't say
 * @returns null when the network takes it
 */
export function unsupportedReaction(emoji: string, features: RoomFeatures | null): Unsupported | null {
  if (isRefused(features?.reaction)) return refusal('reaction', null, 'takes no reactions here')
  const allowed = features?.allowedReactions ?? null
  if (allowed === null || allowed.some(one => isSameEmoji(one, emoji))) return null
  const more = allowed.length > MAX_LISTED ? ' …' : ''
  const listed = `${allowed.slice(0, MAX_LISTED).join(' ')}${more}`
  return refusal('allowed_reactions', null, `takes only these reactions here: ${listed}`)
}

/**
 * @param ageMs since the message was sent
 * @param edits that were made of it so far
 */
export function unsupportedEdit(
  { ageMs, edits }: { ageMs: number; edits: number },
  features: RoomFeatures | null,
): Unsupported | null {
  if (isRefused(features?.edit)) return refusal('edit', null, 'takes no edits here')
  const { editMaxAgeMs = null, editMaxCount = null } = features ?? {}
  if (editMaxAgeMs !== null && ageMs > editMaxAgeMs)
    return refusal('edit_max_age', editMaxAgeMs / 1_000, `allows edits for ${durationInWords(editMaxAgeMs)}`)
  if (editMaxCount === null || edits < editMaxCount) return null
  const most = editMaxCount === 1 ? 'one edit' : `${editMaxCount} edits`
  return refusal('edit_max_count', editMaxCount, `allows ${most} of a message`)
}

/** @param features null where the bridge doesn't say */
export function unsupportedVote(features: RoomFeatures | null): Unsupported | null {
  return isRefused(features?.poll) ? refusal('poll', null, 'takes no votes here') : null
}

/** @param ageMs since the message was sent */
export function unsupportedUnsend(
  { ageMs }: { ageMs: number },
  features: RoomFeatures | null,
): Unsupported | null {
  if (isRefused(features?.delete)) return refusal('delete', null, 'takes no message back here')
  const maxAgeMs = features?.deleteMaxAgeMs ?? null
  if (maxAgeMs === null || ageMs <= maxAgeMs) return null
  const words = `allows unsending for ${durationInWords(maxAgeMs)}`
  return refusal('delete_max_age', maxAgeMs / 1_000, words)
}

/**
 * @param edited a text, or a file with its caption
 * @returns how the file goes, or why the edit can't be sent
 */
export function planEdit(
  { text, content, file }: { text: string; content: SendContent | null; file: PlannedFile | undefined },
  features: RoomFeatures | null,
): ReturnType<typeof planMessage> {
  const plan = planMessage({ text, content, file, isReply: false }, features)
  // A caption that goes by itself is a message of its own, and there is none to be edited.
  if ('unsupported' in plan || !plan.file?.isCaptionApart) return plan
  return { unsupported: refusal('file', null, 'takes no such caption with this file') }
}

/** Some write a heart with the mark for emoji, and some without. */
export function isSameEmoji(one: string, other: string): boolean {
  return one.replaceAll('\ufe0f', '') === other.replaceAll('\ufe0f', '')
}

function isRefused(level: FeatureLevel | null | undefined): boolean {
  return level !== null && level !== undefined && level < TAKEN_IN_PART
}

function refusal(feature: Unsupported['feature'], limit: number | null, words: string): Unsupported {
  return { feature, limit, words }
}
