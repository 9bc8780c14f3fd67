/** Files of the load: their bytes follow from what they belong to, so both ends know what they must be. */
import { createHash } from 'node:crypto'
import { seededRandom } from '../random.ts'

/** Some end in the middle of a block of the disk, some are of several chunks. */
const MOST_BYTES = 90_000

/** @param key of the message it belongs to */
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
