/**
 * Phone numbers as people write and paste them: in any script's digits, with any separators and
 * invisible characters, as links, URIs or WhatsApp ids. No country's numbering plan is applied.
 */

/** Separators between digits, for use inside a character class. */
export const NUMBER_SEPARATORS = String.raw`\s\p{Z}\p{Dash}\u02d7\u2043\u2500\u2501\u30fc.·•∙⋅・\p{Ps}\p{Pe}`
/** Invisible characters, for a character class; keycaps and variation selectors are marks. */
export const INVISIBLE = String.raw`\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{M}\u2800`

const UNSEEN = /^[\p{Z}\p{Cc}\p{Cf}\u2800]$/u
/** Longer than any written number. Bounds the patterns below, which may scan a text many times. */
const MAX_LENGTH = 256
/** A link may also carry a message's text. */
const MAX_LINK_LENGTH = 2_048
const INVISIBLES = new RegExp(`[${INVISIBLE}]+`, 'gu')
const SEPARATORS = new RegExp(`[${NUMBER_SEPARATORS}/'’‘"“”]+`, 'gu')
/** Every link and URI has one of these; most contacts have none. */
const LINK_SIGN = /[:/]/
/** Each pattern captures the number. Some links omit the `+` before the country code. */
const LINKS: readonly (readonly [RegExp, plus: '' | '+'])[] = [
  [/^(?:https?:\/\/)?(?:www\.)?wa\.me\/([^/?#]+)/i, '+'],
  [
    /^(?:(?:https?:\/\/)?(?:(?:www|api|web)\.)?whatsapp\.com|whatsapp:\/)\/send\/?\?(?:[^#]*&)?phone=([^&#]+)/i,
    '+',
  ],
  [/^(?:(?:https?|sgnl):\/\/)?(?:www\.)?signal\.me\/#p\/([^/?]+)/i, '+'],
  [/^(?:https?:\/\/)?(?:www\.)?(?:t|telegram)\.me\/(?:\+|%2B)([^/?#]+)/i, '+'],
  [/^tg:\/\/resolve\/?\?(?:[^#]*&)?phone=([^&#]+)/i, '+'],
  [/^(?:tel|whatsapp):(?:\/\/)?([^/;?]+)$/i, ''],
  // A line of a vCard (RFC 6350 section 6.4.1).
  [/^(?:[\w-]+\.)?tel;[^:]*:(?:tel:)?([^/:;?]+)$/i, ''],
  [/^sms(?:to)?:(?:\/\/)?([^/;?&:]+)/i, ''],
]
/** URIs of numbers; no network uses them as ids. */
const NUMBER_URI = /^(?:tel|whatsapp|sms|smsto):/i
/** RFC 3966 section 3: digits dialled after the answer, or the context of a partial number. */
const PARAMETER = /^tel:[^;]*;\s*([a-z0-9-]+)/i
/** Ids of WhatsApp's web client and of its protocol, which may include a device number. */
const WHATSAPP_ID = /(?::\d+)?@(?:c\.us|s\.whatsapp\.net)[\s\p{Z}]*$/iu
/** `+44 (0)20`, `(+44) (0) 20`: the zero is dialled only within the country. */
const TRUNK_ZERO = /^([^\d]*\d[^([]*)[([]\s*0\s*[)\]]/u
/** Spreadsheets and data frames turn a number into a fraction; its zero isn't a digit of it. */
const FRACTION = /^(\+?\d{7,})\.0$/
/** Numbers of Italy and San Marino keep their leading zero from abroad. */
const ZERO_STAYS = /^(?:\+|00)?(?:39|378)$/
/** Most countries dial `00` for `+`. With its country code a number has at least seven digits. */
const DIALLED_PLUS = /^00(?=[1-9]\d{6})/

interface PhoneNumber {
  /** ASCII digits, without `+` and `00`. */
  digits: string
  /** True when written with its country code, after `+` or `00`. */
  isInternational: boolean
}

function readPhoneNumber(text: string): PhoneNumber | null {
  // The usual form, checked first because each send comes here.
  if (/^[1-9]\d*$/.test(text)) return { digits: text, isInternational: false }
  if (text.length > MAX_LINK_LENGTH) return null
  const written = numberIn(visible(text))
  if (written.length > MAX_LENGTH) return null
  const ascii = written
    .replace(/\p{Nd}/gu, asciiDigit)
    .replace(WHATSAPP_ID, '')
    .replace(FRACTION, '$1')
  const bare = withoutTrunkZero(ascii)
  const [, plus = '', dialled = ''] = /^(\+*)(\d+)$/.exec(bare.replace(SEPARATORS, '')) ?? []
  if (dialled === '') return null
  const digits = dialled.replace(DIALLED_PLUS, '')
  return { digits, isInternational: plus !== '' || digits !== dialled }
}

/** Normalises characters and removes invisible ones. */
function visible(text: string): string {
  return trimmed(text.normalize('NFKC').replace(INVISIBLES, ''))
}

/** Number in a link or a URI; any other text unchanged. */
function numberIn(text: string): string {
  if (!LINK_SIGN.test(text)) return text
  for (const [link, plus] of LINKS) {
    const number = link.exec(text)?.[1]
    if (number === undefined) continue
    const decoded = number.replace(/%([2-7][0-9a-f])/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    // In a query, `+` means a space.
    return plus === '' ? decoded : `${plus}${decoded.replaceAll('+', ' ')}`
  }
  return text
}

function withoutTrunkZero(text: string): string {
  return text.replace(TRUNK_ZERO, (all, before: string) =>
    ZERO_STAYS.test(before.replace(SEPARATORS, '')) ? all : before,
  )
}

/** Unicode keeps decimal digits in blocks of ten, each starting at zero. */
function asciiDigit(digit: string): string {
  const codePoint = digit.codePointAt(0) ?? 0
  if (codePoint < 0x80) return digit
  let before = 0
  while (/\p{Nd}/u.test(String.fromCodePoint(codePoint - before - 1))) before++
  return String(before % 10)
}

/** Digits of a phone number in any spelling; null when `text` isn't one. */
export function phoneDigits(text: string): string | null {
  return readPhoneNumber(text)?.digits ?? null
}

/** @returns digits of the first phone number among URIs, null without one */
export function phoneAmong(uris: readonly string[]): string | null {
  const tel = uris.find(uri => uri.startsWith('tel:'))
  return tel ? phoneDigits(tel) : null
}

/** @returns why a number's URI can't be called; null for any other text */
export function numberUriProblem(text: string): string | null {
  if (!LINK_SIGN.test(text) || phoneDigits(text) !== null) return null
  const uri = visible(text)
  if (!NUMBER_URI.test(uri)) return null
  const parameter = PARAMETER.exec(uri)?.[1]
  if (parameter === undefined) return 'expected a phone number with the code of its country'
  return `${parameter}: expected a number alone, as nothing can be dialled after it`
}

/**
 * A contact for a bridge's resolve_identifier: a phone number's digits, with `+` if it surely has
 * its country code. Anything else only loses white space and invisible characters around it.
 */
export function normaliseContact(text: string): string {
  const number = readPhoneNumber(text)
  if (number === null) return trimmed(text)
  return number.isInternational ? `+${number.digits}` : number.digits
}

/**
 * One key for all spellings of a contact: `+237 123` and `00237-123` are the same. Network ids keep
 * their case: some networks distinguish by it.
 */
export function contactKey(contact: string): string {
  return phoneDigits(contact) ?? trimmed(contact)
}

/** Removes white space and invisible characters from both ends. */
export function trimmed(text: string): string {
  // From both ends: a regex for the end would be tried from each character, and a long text costs
  // milliseconds when it is taken apart.
  let start = 0
  let end = text.length
  while (start < end && UNSEEN.test(characterAt(text, start))) start += characterAt(text, start).length
  while (end > start && UNSEEN.test(characterBefore(text, end))) end -= characterBefore(text, end).length
  return text.slice(start, end)
}

function characterAt(text: string, index: number): string {
  return String.fromCodePoint(text.codePointAt(index) ?? 0)
}

/** Above U+FFFF a character takes two units of a string. */
function characterBefore(text: string, index: number): string {
  const pair = characterAt(text, Math.max(0, index - 2))
  return pair.length === 2 ? pair : text.charAt(index - 1)
}
