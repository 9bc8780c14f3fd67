/** Files of the load. Their bytes follow from a key, so both ends know the right content. */
import { createHash } from 'node:crypto'
import { seededRandom } from '../random.ts'

/** Sizes vary, so that files end inside a disk block or span several chunks. */
const MOST_BYTES = 90_000

/** @param key of the file's message */
export function fileOf(key: string): { name: string; content: Uint8Array<ArrayBuffer> } {
  const random = seededRandom(key)
  const size = random.between(1, MOST_BYTES)
  const content = new Uint8Array(size)
  for (let offset = 0; offset < size; offset++) content[offset] = random.between(0, 255)
  return { name: `${key}.bin`, content }
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
