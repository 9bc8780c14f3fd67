/** Texts for logs and metrics that may name people: a phone number is personal data, and a log has more readers than the database. */

/** Shorter numbers are ports, counts and statuses. */
const LONG_NUMBER = /\d{7,}/g
const KEPT = 2

/** Of each long number only the last digits are left: enough to tell two apart, too few to call anybody. */
export function maskNumbers(text: string): string {
  return text.replace(LONG_NUMBER, number => `…${number.slice(-KEPT)}`)
}
