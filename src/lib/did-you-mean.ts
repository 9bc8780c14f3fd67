/** Recognises misspelt names: fields and parameters in HTTP, and settings. */
import { distance } from 'fastest-levenshtein'

/** @returns the first known name that `name` resembles; undefined when it resembles none */
export function meantBy(name: string, known: readonly string[]): string | undefined {
  return known.find(other => isMisspelt(name, other))
}

/** Typing errors allowed by length: short names resemble each other too much. */
const TYPING_ERRORS = [
  { fromLength: 8, atMost: 2 },
  { fromLength: 5, atMost: 1 },
]
/** From this length on, the same letters in another order are the same name: `ulr` is `url`. */
const REORDERED_FROM_LENGTH = 3

/** `expiresAt`, `expires-at`, `expired_at` and `expires_ta` are `expires_at`. */
function isMisspelt(name: string, known: string): boolean {
  if (name.length > 2 * known.length) return false
  const [one, other] = [plain(name), plain(known)]
  const allowed = TYPING_ERRORS.find(({ fromLength }) => other.length >= fromLength)?.atMost ?? 0
  return distance(one, other) <= allowed || isReordered(one, other)
}

function isReordered(one: string, other: string): boolean {
  return other.length >= REORDERED_FROM_LENGTH && sorted(one) === sorted(other)
}

/** Removes the differences between ways of writing, such as case and dashes. */
export const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')
const sorted = (letters: string) => [...letters].sort().join('')
