/** Masks phone numbers and mail addresses in logs and metrics: more people read those. */

import { INVISIBLE, NUMBER_SEPARATORS, phoneDigits } from './phone-numbers.ts'

/**
 * Digits with separators: `+49 (170) 123-4567`. Shorter numbers are ports, counts and statuses. A
 * path has characters outside ASCII as `%20`.
 */
const LONG_NUMBER = new RegExp(
  String.raw`\p{Nd}(?:(?:[${NUMBER_SEPARATORS}${INVISIBLE}]|%[\da-f]{2}){0,6}\p{Nd}){6,}`,
  'giu',
)
/** Uses the same characters but is nobody's number. */
const DATE = /^(?:19|20)\d\d-[01]\d-[0-3]\d(?: [0-2]\d)?$/
const IP_ADDRESS = /^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/
/** The part before `@` or `%40`. The lookbehind keeps matching fast on long texts. */
const LOCAL_PART = /(?<![^\s@%"'`<>()[\]{}/\\:;,=?&])[^\s@%"'`<>()[\]{}/\\:;,=?&]+(?=(?:@|%40)\w)/g
/** A network's id may look like a mail address with a number in front, masked or not. */
const NUMBER_AS_LOCAL_PART = /^\+?(?:\d{7,}|…\d\d)$/
const KEPT = 2
/** Fewest digits of a long number, as in LONG_NUMBER. */
const LONG = 7
const MASK = '…'

/**
 * Keeps a long number's last digits: enough to tell two apart, too few to call anybody. Keeps the
 * domain of a mail address, or of a network's id in that form.
 */
export function maskAddresses(text: string): string {
  // Checked first because each request's path passes here.
  const hasAddress = text.includes('@') || text.includes('%40')
  const withoutLocalParts = hasAddress
    ? text.replace(LOCAL_PART, part => (NUMBER_AS_LOCAL_PART.test(part) ? part : MASK))
    : text
  return withoutLocalParts.replace(LONG_NUMBER, number =>
    DATE.test(number) || IP_ADDRESS.test(number) ? number : MASK + lastDigits(number),
  )
}

/**
 * @param spellings names, handles or invite links of a person the text may mention
 * @returns the text without them as whole words, in any case; its numbers are masked too
 */
export function maskNames(text: string, spellings: readonly string[]): string {
  const names = [...new Set(spellings.flatMap(name => [name, encodeURIComponent(name.toWellFormed())]))]
    .filter(name => /[\p{L}\p{N}]/u.test(name))
    .toSorted((one, other) => other.length - one.length)
  let masked = text
  for (const name of names) {
    // A number keeps its last digits.
    const shown = (phoneDigits(name) ?? '').length < LONG ? MASK : maskAddresses(name)
    masked = masked.replace(wholeWords(name), () => shown)
  }
  return maskAddresses(masked)
}

function lastDigits(number: string): string {
  return (phoneDigits(number) ?? number.replace(/\P{Nd}/gu, '')).slice(-KEPT)
}

/** A recipient called "on" must not break up other words. */
function wholeWords(name: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(name)}(?![\\p{L}\\p{N}])`, 'giu')
}
