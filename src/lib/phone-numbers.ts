/**
 * Phone numbers as people write and paste them: in any script's digits, with any dash, bracket and
 * invisible character in between, as a link or a URI, or as WhatsApp's programs write them. It knows
 * no country's numbering plan: a number is its digits.
 */

/**
 * Characters between digits, as the inside of a character class: white space, dashes, dots,
 * brackets.
 */
export const NUMBER_SEPARATORS = String.raw`\s\p{Z}\p{Dash}\u02d7\u2043\u2500\u2501\u30fc.·•∙⋅・\p{Ps}\p{Pe}`
/**
 * Characters without width on a screen, as the inside of a character class; a keycap's frame and
 * variation selectors are marks.
 */
export const INVISIBLE = String.raw`\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{M}\u2800`

const UNSEEN = /^[\p{Z}\p{Cc}\p{Cf}\u2800]$/u
/** Longer than any way to write a number. The patterns below may look at a text many times over. */
const MAX_LENGTH = 256
/** A link may carry the text of a message as well. */
const MAX_LINK_LENGTH = 2_048
const INVISIBLES = new RegExp(`[${INVISIBLE}]+`, 'gu')
const SEPARATORS = new RegExp(`[${NUMBER_SEPARATORS}/'’‘"“”]+`, 'gu')
/** Links and URIs have one of these; most contacts have none. */
const LINK_SIGN = /[:/]/
/** Each with the number in its group, and the + that is left out where links begin with a country's code. */
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
/** URIs of numbers, which are nobody's id. */
const NUMBER_URI = /^(?:tel|whatsapp|sms|smsto):/i
/** RFC 3966 section 3: the number goes on with what is dialled once it answers, or is no whole one. */
const PARAMETER = /^tel:[^;]*;\s*([a-z0-9-]+)/i
/**
 * WhatsApp's account ids: its web client's, and its protocol's, which may have a device's number.
 */
const WHATSAPP_ID = /(?::\d+)?@(?:c\.us|s\.whatsapp\.net)[\s\p{Z}]*$/iu
/** `+44 (0)20`, `(+44) (0) 20`: the zero is dialled within the country alone. */
const TRUNK_ZERO = /^([^\d]*\d[^([]*)[([]\s*0\s*[)\]]/u
/** Spreadsheets and data frames make a fraction of a number, whose zero is another digit. */
const FRACTION = /^(\+?\d{7,})\.0$/
/** Italy's numbers begin with a zero, from abroad as well, and so do San Marino's. */
const ZERO_STAYS = /^(?:\+|00)?(?:39|378)$/
/**
 * Most countries dial `00` for the `+`. No number with its country's code is shorter than seven
 * digits.
 */
const DIALLED_PLUS = /^00(?=[1-9]\d{6})/

interface PhoneNumber {
  /** ASCII digits, without `+` and `00`. */
  digits: string
  /** True when it was written with its country's code, after `+` or `00`. */
  isInternational: boolean
}

function readPhoneNumber(text: string): PhoneNumber | null {
  // Nearly all numbers of programs, and this is asked for at each send.
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

/** As it is seen, in one way of writing for each character. */
function visible(text: string): string {
  return trimmed(text.normalize('NFKC').replace(INVISIBLES, ''))
}

/** The number in a link or a URI; any other text as it is. */
function numberIn(text: string): string {
  if (!LINK_SIGN.test(text)) return text
  for (const [link, plus] of LINKS) {
    const number = link.exec(text)?.[1]
    if (number === undefined) continue
    const decoded = number.replace(/%([2-7][0-9a-f])/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    // A form's + is a space.
    return plus === '' ? decoded : `${plus}${decoded.replaceAll('+', ' ')}`
  }
  return text
}

function withoutTrunkZero(text: string): string {
  return text.replace(TRUNK_ZERO, (all, before: string) =>
    ZERO_STAYS.test(before.replace(SEPARATORS, '')) ? all : before,
  )
}

/** Decimal digits stand together in tens in Unicode, each ten from its zero on. */
function asciiDigit(digit: string): string {
  const codePoint = digit.codePointAt(0) ?? 0
  if (codePoint < 0x80) return digit
  let before = 0
  while (/\p{Nd}/u.test(String.fromCodePoint(codePoint - before - 1))) before++
  return String(before % 10)
}

/** The digits of a phone number, however it is written, or null when `text` isn't one. */
export function phoneDigits(text: string): string | null {
  return readPhoneNumber(text)?.digits ?? null
}

/** @returns why a text that is written as a number's URI isn't one that can be called; null for any other */
export function numberUriProblem(text: string): string | null {
  if (!LINK_SIGN.test(text) || phoneDigits(text) !== null) return null
  const uri = visible(text)
  if (!NUMBER_URI.test(uri)) return null
  const parameter = PARAMETER.exec(uri)?.[1]
  if (parameter === undefined) return 'expected a phone number with the code of its country'
  return `${parameter}: expected a number alone, as nothing can be dialled after it`
}

/**
 * A contact as a bridge's resolve_identifier takes it: a phone number as its digits, with a leading
 * + if it has its country's code for certain. Anything not written like a number stays as it is,
 * but for white space and invisible characters around it.
 */
export function normaliseContact(text: string): string {
  const number = readPhoneNumber(text)
  if (number === null) return trimmed(text)
  return number.isInternational ? `+${number.digits}` : number.digits
}

/**
 * One key for each way of writing the same contact: `+237 123` and `00237-123` are one. Ids of
 * networks keep their case: some networks tell people apart by it.
 */
export function contactKey(contact: string): string {
  return phoneDigits(contact) ?? trimmed(contact)
}

/** Without what a paste may have brought along unseen, before and behind. */
export function trimmed(text: string): string {
  // By hand: a pattern for the end of a text is tried from each of its characters on.
  let start = 0
  let end = text.length
  while (start < end && UNSEEN.test(characterAt(text, start))) start += characterAt(text, start).length
  while (end > start && UNSEEN.test(characterBefore(text, end))) end -= characterBefore(text, end).length
  return text.slice(start, end)
}

function characterAt(text: string, index: number): string {
  return String.fromCodePoint(text.codePointAt(index) ?? 0)
}

/** Beyond U+FFFF a character is two units of a string. */
function characterBefore(text: string, index: number): string {
  const pair = characterAt(text, Math.max(0, index - 2))
  return pair.length === 2 ? pair : text.charAt(index - 1)
}
