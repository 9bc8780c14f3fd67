/**
 * Refuses what a chat's features exclude. bridgev2 checks some by itself (portal.go,
 * checkMessageContentCaps and handleMatrixEdit) and calls all of that retriable; the rest is the
 * connector's to refuse, for good.
 */
import type { Message } from '../network/types.ts'
import type { Incoming } from './from-matrix.ts'
import { permanent, type Refusal } from './refusals.ts'
import type { FileFeatures, Level, RoomFeatures } from './room-features.ts'

const UNSUPPORTED = 'com.beeper.unsupported_event'

/** As bridgev2 refuses by itself. */
export function unsupportedByBridge(message: string): Refusal {
  return { status: 'FAIL_RETRIABLE', reason: UNSUPPORTED, message, error: message }
}

const byNetwork = (message: string) => permanent(UNSUPPORTED, message)

const FEATURE_KINDS: Partial<Record<Incoming['type'], string>> = {
  voice: 'org.matrix.msc3245.voice',
  gif: 'fi.mau.gif',
}

/** @returns the part of a message the network accepts, or why it accepts nothing */
export function taken(features: RoomFeatures, incoming: Incoming): Incoming | Refusal {
  const { media, text, type } = incoming
  if (type === 'location')
    return features.location_message === -2
      ? unsupportedByBridge('location messages are not supported here')
      : incoming
  if (type === 'poll' || type === 'vote') {
    const objection = objectionToPoll(features, incoming.poll)
    return objection ?? incoming
  }
  if (!media) {
    const most = features.max_text_length
    return text.length <= most ? incoming : byNetwork(tooLong('text', text, most))
  }
  const kind = FEATURE_KINDS[type] ?? `m.${type}`
  const file = features.file[kind]
  if (!file) return unsupportedByBridge('unsupported message type')
  const problem = problemOf(kind, media, text, file)
  if (problem !== null) return unsupportedByBridge(problem)
  const maxCaption = file.max_caption_length ?? features.max_text_length
  if (text.length > maxCaption) return byNetwork(tooLong('caption', text, maxCaption))
  // A network without captions drops them silently.
  return (file.caption ?? 0) <= 0 ? { ...incoming, text: '' } : incoming
}

function objectionToPoll(
  { poll: level = 0, poll_max_options: maxOptions, poll_option_max_length: maxLength }: RoomFeatures,
  poll: Incoming['poll'],
): Refusal | null {
  if (level <= 0) return unsupportedByBridge('this bridge does not support polls')
  const options = poll?.options ?? []
  if (maxOptions !== undefined && options.length > maxOptions)
    return byNetwork(`the poll has ${options.length} options, and ${maxOptions} is the most`)
  const tooLongOne = options.find(option => maxLength !== undefined && option.length > maxLength)
  return tooLongOne === undefined ? null : byNetwork(tooLong('option', tooLongOne, maxLength ?? 0))
}

type IncomingMedia = NonNullable<Incoming['media']>

function problemOf(
  kind: string,
  { mimeType, sizeBytes, durationMs }: IncomingMedia,
  text: string,
  { mime_types, caption = 0, max_size: maxSize, max_duration: maxDuration }: FileFeatures,
): string | null {
  if (text !== '' && caption === -2) return 'captions are not supported here'
  if (maxDuration !== undefined && (durationMs ?? 0) > maxDuration * 1_000)
    return `media duration too long: the most is ${maxDuration} seconds`
  if (maxSize !== undefined && sizeBytes > maxSize)
    return `media too large: ${mib(sizeBytes)} MiB is larger than the maximum of ${mib(maxSize)} MiB`
  if (mimeType !== '' && levelOf(mimeType, mime_types) === -2)
    return `unsupported media type (${mimeType} in ${kind})`
  return null
}

/** The closest entry of a list: the type itself, without its parameters, its family, or any. */
function levelOf(type: string, listed: FileFeatures['mime_types']): Level {
  const plain = type.split(';')[0] ?? type
  const entries = [type, plain, `${plain.split('/')[0]}/*`, '*/*']
  return entries.flatMap(entry => listed[entry] ?? [])[0] ?? -2
}

function mib(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1)
}

function tooLong(what: string, text: string, most: number): string {
  return `the ${what} has ${text.length} characters, and ${most} is the most`
}

/**
 * @param target what the edit, deletion or reaction is about
 * @param edits how often the target was edited
 * @returns why the network doesn't take it; null when it does
 */
export function objectionTo(
  { type, emoji }: Pick<Incoming, 'type' | 'emoji'>,
  target: Message,
  edits: number,
  features: RoomFeatures,
  now: number,
): Refusal | null {
  const isOlderThan = (seconds: number | undefined) =>
    seconds !== undefined && now - target.sentAt > seconds * 1_000
  if (type === 'edit') {
    if (isOlderThan(features.edit_max_age)) return unsupportedByBridge('the message is too old to be edited')
    if (edits >= (features.edit_max_count ?? Number.POSITIVE_INFINITY))
      return unsupportedByBridge('the message has been edited too many times')
  }
  if (type === 'delete' && isOlderThan(features.delete_max_age))
    return byNetwork('the message is too old to be deleted')
  if (type === 'reaction' && emoji && features.allowed_reactions) {
    const allowed = features.allowed_reactions.map(plainEmoji)
    if (!allowed.includes(plainEmoji(emoji))) return byNetwork(`the reaction ${emoji} isn't allowed here`)
  }
  return null
}

/** Without the selector that asks for its colourful form. */
function plainEmoji(emoji: string): string {
  return emoji.replaceAll('\ufe0f', '')
}
