/** Amounts as people say them. */

const KB = 1024
const MB = 1024 * KB

/** @returns such as "16 MB": binary or decimal, whichever the number is a round one of */
export function sizeInWords(bytes: number): string {
  if (bytes >= 1_000_000) return `${rounded(bytes / (bytes % MB === 0 ? MB : 1_000_000))} MB`
  if (bytes >= 1_000) return `${rounded(bytes / (bytes % KB === 0 ? KB : 1_000))} KB`
  return `${bytes} bytes`
}

const LONGER = [
  { unit: 'days', seconds: 86_400 },
  { unit: 'hours', seconds: 3_600 },
  { unit: 'minutes', seconds: 60 },
]

/** @returns such as "1 second", "5 minutes" or "24 hours": two of a unit, or the smaller one */
export function durationInWords(ms: number): string {
  const seconds = ms / 1_000
  const longer = LONGER.find(one => seconds >= 2 * one.seconds && seconds % one.seconds === 0)
  if (longer) return `${seconds / longer.seconds} ${longer.unit}`
  return rounded(seconds) === 1 ? '1 second' : `${rounded(seconds)} seconds`
}

/** Down, as what is more than a limit isn't taken. */
function rounded(value: number): number {
  return Math.floor(value * 10) / 10
}
