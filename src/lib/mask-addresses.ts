/** Texts for logs and metrics that may name people: phone numbers and mail addresses are personal data, and a log has more readers than the database. */

import { INVISIBLE, NUMBER_SEPARATORS, phoneDigits } from './phone-numbers.ts'

/**
 * Digits however they are set apart: `+49 (170) 123-4567`. Shorter numbers are ports, counts and
 * statuses. A path has characters outside ASCII as `%20`.
 */
const LONG_NUMBER = new RegExp(
  String.raw`\p{Nd}(?:(?:[${NUMBER_SEPARATORS}${INVISIBLE}]|%[\da-f]{2}){0,6}\p{Nd}){6,}`,
  'giu',
)
/** Written with the same signs, and nobody's number. */
const DATE = /^(?:19|20)\d\d-[01]\d-[0-3]\d(?: [0-2]\d)?$/
const IP_ADDRESS = /^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/
/** What stands before the @ of a mail address, or before its `%40` in a path. It begins where no such sign precedes, or long texts would take long. */
const LOCAL_PART = /(?<![^\s@%"'`<>()[\]{}/\\:;,=?&])[^\s@%"'`<>()[\]{}/\\:;,=?&]+(?=(?:@|%40)\w)/g
/** A network's id may be a number in the form of a mail address; it may have been masked already. */
const NUMBER_AS_LOCAL_PART = /^\+?(?:\d{7,}|…\d\d)$/
const KEPT = 2
/** Digits of a long number at least, as in LONG_NUMBER. */
const LONG = 7
const MASK = '…'

/**
 * Of each long number only the last digits are left: enough to tell two apart, too few to call anybody. Of a mail address, or a network's id in
 * that form, the domain.
 */
export function maskAddresses(text: string): string {
  // Asked first, since each request's path comes by here.
  const hasAddress = text.includes('@') || text.includes('%40')
  const withoutLocalParts = hasAddress
    ? text.replace(LOCAL_PART, part => (NUMBER_AS_LOCAL_PART.test(part) ? part : MASK))
    : text
  return withoutLocalParts.replace(LONG_NUMBER, number =>
    DATE.test(number) || IP_ADDRESS.test(number) ? number : MASK + lastDigits(number),
  )
}

/**
 * @param spellings of somebody whom the text may name, of whatever kind: a name, a handle, an invite link
 * @returns the text with none of them, whatever their case, as whole words; numbers in it are masked as everywhere
 */
export function maskNames(text: string, spellings: readonly string[]): string {
  const names = [...new Set(spellings.flatMap(name => [name, encodeURIComponent(name.toWellFormed())]))]
    .filter(name => /[\p{L}\p{N}]/u.test(name))
    .toSorted((one, other) => other.length - one.length)
  let masked = text
  for (const name of names) {
    // Of numbers the last digits stay.
    const shown = (phoneDigits(name) ?? '').length < LONG ? MASK : maskAddresses(name)
    masked = masked.replace(wholeWords(name), () => shown)
  }
  return maskAddresses(masked)
}

function lastDigits(number: string): string {
  return (phoneDigits(number) ?? number.replace(/\P{Nd}/gu, '')).slice(-KEPT)
}

/** A recipient called "on" must not tear words apart. */
function wholeWords(name: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(name)}(?![\\p{L}\\p{N}])`, 'giu')
}
