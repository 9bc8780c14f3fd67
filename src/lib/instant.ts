/** Reads the times that clients give. */
import { z } from 'zod'

const dateTime = z.iso.datetime({ offset: true })

/**
 * A leap second counts as the second after it, and fractions below a millisecond are dropped.
 * @param text RFC 3339 with an offset (section 5.6)
 * @returns milliseconds since the Unix epoch; null when it is malformed or no date of the calendar
 */
export function instantIn(text: string): number | null {
  const upper = text.toUpperCase()
  const plain = upper.replace(/(T\d\d:\d\d):60/, '$1:59')
  // zod takes times without seconds, too.
  if (!/T\d\d:\d\d:/.test(plain) || !dateTime.safeParse(plain).success) return null
  return Date.parse(plain) + (plain === upper ? 0 : 1_000)
}
