/** Small files of each kind. */
import { PNG } from 'pngjs'

/** A picture that isn't blank. */
export function pngOf(width: number, height: number): Uint8Array<ArrayBuffer> {
  const png = new PNG({ width, height })
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      png.data.set([(x * 255) / width, (y * 255) / height, 128, 255], (y * width + x) * 4)
    }
  }
  return Uint8Array.from(PNG.sync.write(png))
}

/** Bytes that don't compress and follow no pattern; the same seed gives the same bytes. */
export function bytesOf(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  const random = randomFrom(seed)
  for (let index = 0; index < size; index++) bytes[index] = random() * 256
  return bytes
}

/** @returns a generator of numbers in [0, 1), the same for the same seed (mulberry32) */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
