/**
 * Decides the type of a file: by its content, then the sender's declaration, then its name. Aliases
 * become the registered name (RFC 6838), so that each type has one spelling.
 */
import { fileTypeFromBuffer } from 'file-type'
import database from 'mime-db'

/** Means nothing is known about the file. */
const UNKNOWN_TYPE = 'application/octet-stream'
/** Opus in Ogg: phones' voice messages. The only type whose parameter networks require. */
export const OGG_OPUS = 'audio/ogg; codecs=opus'
/** Bytes that suffice to detect a format; an Office document needs a few entries of its archive. */
export const HEAD_BYTES = 64 * 1024

/** Declared by clients and libraries that don't know the type. */
const SAYS_NOTHING = [UNKNOWN_TYPE, 'text/plain', 'application/x-www-form-urlencoded']

/** Common names that neither the registry nor a file extension resolves. */
const ALIASES: Readonly<Record<string, string>> = {
  'audio/mpeg3': 'audio/mpeg',
  'audio/x-mpeg-3': 'audio/mpeg',
  'audio/opus': 'audio/ogg',
  'audio/vnd.wave': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/x-wav': 'audio/wav',
  'audio/x-pn-wav': 'audio/wav',
  'image/pjpeg': 'image/jpeg',
  'image/svg-xml': 'image/svg+xml',
  'video/vnd.avi': 'video/x-msvideo',
}

/** Extensions that usually mean something other than their registered type. */
const USUALLY: Readonly<Record<string, string>> = {
  cjs: 'text/javascript',
  ts: 'text/javascript',
  xml: 'application/xml',
}

/** Formats that many others are built on: the name or declaration decides. */
const CONTAINERS: readonly { content: string; holds: RegExp }[] = [
  { content: 'application/zip', holds: /^(application|model)\/(?!(pdf|json|xml)$)/ },
  { content: 'application/x-cfb', holds: /^application\/(?!(pdf|json|xml|zip)$)/ },
  { content: 'application/gzip', holds: /^application\/(?!(pdf|json|xml|zip)$)/ },
  { content: 'application/xml', holds: /^(application|text)\/|\+xml$/ },
  { content: 'image/svg+xml', holds: /^(application|text)\// },
  { content: 'text/html', holds: /^(application|text)\// },
  { content: 'application/ogg', holds: /^(audio|video)\/ogg/ },
  // An animation; a PNG viewer shows its first picture.
  { content: 'image/apng', holds: /^image\/png$/ },
]
/** Text types: the sender's declaration counts more than a few letters at the start. */
const WRITTEN = /^text\/|^application\/(json|xml|javascript|sql|x-sh|yaml|toml)$|\+(xml|json)$/
/** Formats that phones show or play; none is text or empty. */
const SHOWN =
  /^(image\/(jpeg|png|gif|webp|heic|avif|bmp|tiff)|audio\/(mpeg|mp4|aac|amr|ogg|wav|flac)|video\/(mp4|3gpp|quicktime|webm|mpeg|matroska|x-msvideo))$/
/** Covers everything that may precede the first element. */
const MARKUP_BYTES = 4096
const SVG = /^(?:\s|<\?xml[^>]*>|<!--(?:(?!-->)[\s\S])*-->|<!doctype\s+svg(?:[^[>]|\[[^\]]*\])*>)*<svg[\s/>]/i
const HTML = /^(?:\s|<!--(?:(?!-->)[\s\S])*-->)*(?:<!doctype\s+html|<html[\s>])/i
/** Formats that are text. Others match text by chance: "BM" starts a bitmap, and a list of BMWs. */
const TEXT_FORMATS = /^(text\/|application\/(xml|pdf|rtf|postscript|eps)$)/

/**
 * @param head the first HEAD_BYTES of the file, or all of it
 * @param declared by the sender; empty if undeclared
 * @returns type/subtype in lower case, with parameters only for OGG_OPUS; else UNKNOWN_TYPE
 */
export async function mediaTypeOf(head: Uint8Array, fileName: string, declared: string): Promise<string> {
  const byName = mediaTypeOfName(fileName)
  const named = declaredType(declared) ?? (byName === UNKNOWN_TYPE ? null : byName)
  const content = await typeOfContent(head, [named ?? UNKNOWN_TYPE, byName, declared])
  if (content === null && named !== null && SHOWN.test(named)) {
    const otherName = SHOWN.test(byName) ? UNKNOWN_TYPE : byName
    if (head.length === 0) return otherName
    if (isText(head)) return WRITTEN.test(byName) ? byName : 'text/plain'
    return otherName === UNKNOWN_TYPE ? named : otherName
  }
  if (content === null) return named ?? UNKNOWN_TYPE
  return [named, byName].find(type => type !== null && !isSpecific(content, type)) ?? content
}

/** Where the first one of the registry is one that hardly anybody uses. */
const USUAL_EXTENSIONS: Readonly<Record<string, string>> = {
  'audio/mp4': 'm4a',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'video/quicktime': 'mov',
}

/** @returns the extension that files of the type mostly have, without a dot */
export function extensionOf(type: string): string {
  const essence = registeredType(type) ?? UNKNOWN_TYPE
  return USUAL_EXTENSIONS[essence] ?? database[essence]?.extensions?.[0] ?? 'bin'
}

/** @returns the type for the name's extension, or UNKNOWN_TYPE */
export function mediaTypeOfName(fileName: string): string {
  const extension = /\.([^./\\]+)$/.exec(fileName)?.[1]?.toLowerCase()
  const type = extension === undefined ? undefined : byExtension().get(extension)
  return (type === undefined ? null : registeredType(type)) ?? UNKNOWN_TYPE
}

/**
 * @param type in any spelling, with parameters or without
 * @returns its registered name, without parameters; null for no such type
 */
export function registeredType(type: string): string | null {
  const essence = (type.split(';')[0] ?? '').trim().toLowerCase()
  const [family, subtype] = essence.split('/')
  if (!family || !subtype) return null
  const alias = ALIASES[essence]
  if (alias !== undefined) return alias
  if (database[essence]?.source === 'iana') return essence
  const plain = subtype.replace(/^x-/, '')
  const candidates = [
    `${family}/${plain}`,
    ...[plain, ...(database[essence]?.extensions ?? [])].map(extension => byExtension().get(extension)),
  ]
  const known = candidates.filter(
    candidate =>
      candidate !== undefined &&
      database[candidate] !== undefined &&
      isSameFamily(family, candidate.split('/')[0]),
  )
  const registered = known.find(candidate => database[candidate ?? '']?.source === 'iana')
  return registered ?? (database[essence] === undefined ? (known[0] ?? null) : essence)
}

/** True when both names mean the same type, ignoring parameters. */
export function isSameType(one: string, other: string): boolean {
  const essence = (type: string) => registeredType(type) ?? type.trim().toLowerCase()
  return essence(one) === essence(other)
}

/** @returns the registered name; null when the declaration is no type or says nothing */
export function declaredType(declared: string): string | null {
  const type = registeredType(declared)
  return type === null || SAYS_NOTHING.includes(type) ? null : type
}

/** @param claimed types from the sender and the name */
async function typeOfContent(head: Uint8Array, claimed: readonly string[]): Promise<string | null> {
  const markup = isText(head) ? markupOf(head) : null
  if (markup !== null) return markup
  const found = await recognise(head)
  if (found === null || found === OGG_OPUS) return found
  const type = registeredType(found) ?? found.toLowerCase()
  if (type === 'font/ttf') return claimed.some(claim => claim.includes('font')) ? type : null
  if (TEXT_FORMATS.test(type)) return type
  // Text may not be UTF-8, but lacks the control characters that binary formats are full of.
  const isWritten = isText(head) || (claimed.some(claim => WRITTEN.test(claim)) && head.every(isTextByte))
  return isWritten ? null : type
}

/** Type of a text that browsers render; null for any other. */
function markupOf(head: Uint8Array): string | null {
  const start = new TextDecoder().decode(head.subarray(0, MARKUP_BYTES))
  if (SVG.test(start)) return 'image/svg+xml'
  return HTML.test(start) ? 'text/html' : null
}

async function recognise(head: Uint8Array): Promise<string | null> {
  try {
    return (await fileTypeFromBuffer(head))?.mime ?? null
  } catch {
    // A broken or truncated format says no more than the name.
    return null
  }
}

/** True when the content's type says more than the name does. */
function isSpecific(content: string, named: string): boolean {
  if (CONTAINERS.some(container => container.content === content && container.holds.test(named))) return false
  if (TEXT_FORMATS.test(content) && named.startsWith('text/')) return false
  // Sound alone may be in the same format as video.
  return content.replace(/^video\//, 'audio/') !== named
}

function isSameFamily(family: string, other: string | undefined): boolean {
  const isMedia = (name: string | undefined) => name === 'image' || name === 'audio' || name === 'video'
  return family === other || (!isMedia(family) && !isMedia(other))
}

/** Tab to carriage return, and ESC of terminal colours. */
const isTextByte = (byte: number) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0x1b

function isText(head: Uint8Array): boolean {
  if (!head.every(isTextByte)) return false
  try {
    // `stream` tolerates a character cut in two at the head's end.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return true
  } catch {
    return false
  }
}

let extensions: Map<string, string> | undefined

/** The registered type wins where several types share an extension. */
function byExtension(): Map<string, string> {
  if (extensions) return extensions
  extensions = new Map()
  for (const [type, { source, extensions: own = [] }] of Object.entries(database)) {
    for (const extension of own) {
      if (source === 'iana' || !extensions.has(extension)) extensions.set(extension, ALIASES[type] ?? type)
    }
  }
  for (const [extension, type] of Object.entries(USUALLY)) extensions.set(extension, type)
  return extensions
}
