/** `expires_at` of a new token. */
import { GatewayError } from '../../domain/errors.ts'

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/

/**
 * @param text RFC 3339 with an offset (section 5.6)
 * @returns the instant in milliseconds since the Unix epoch
 * @throws GatewayError bad_request when it is malformed, no date of the calendar, or not after `now`
 */
export function parseExpiry(text: string, now: number): number {
  const match = RFC3339.exec(text)
  const instant = match && isDate(Number(match[1]), Number(match[2]), Number(match[3])) ? toEpoch(text) : NaN
  if (Number.isNaN(instant)) {
    throw new GatewayError(
      'bad_request',
      'expires_at: expected an RFC 3339 time with an offset, such as 2026-12-31T23:59:59Z',
    )
  }
  if (instant <= now) throw new GatewayError('bad_request', 'expires_at: expected a time in the future')
  return instant
}

/** `Date` takes the 31st of February for the 3rd of March. */
function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day))
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day
}

/** A leap second is counted as the second after it, and fractions below a millisecond are dropped. */
function toEpoch(text: string): number {
  const leap = /:60/.test(text)
  return Date.parse(text.toUpperCase().replace(':60', ':59')) + (leap ? 1_000 : 0)
}
