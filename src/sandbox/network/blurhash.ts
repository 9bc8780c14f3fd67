/** BlurHash of a PNG: a few characters from which its blurred preview can be drawn. */
import { encode } from 'blurhash'
import { PNG } from 'pngjs'

/** Decoding blocks everything else, so only quick cases are decoded. */
const MAX_FILE_BYTES = 1024 * 1024
const MAX_PIXELS = 2_000_000
/** Size of the sampled image; the preview has no more detail. */
const SAMPLE = 32

/** @returns null if the file is no PNG, broken, or too large to be worth it */
export async function blurhashOf(
  file: Bun.BunFile,
  { width, height }: { width: number; height: number },
): Promise<string | null> {
  if (file.size > MAX_FILE_BYTES || width * height > MAX_PIXELS) return null
  try {
    const image = PNG.sync.read(Buffer.from(await file.arrayBuffer()))
    return encode(sampled(image), SAMPLE, SAMPLE, 4, 3)
  } catch {
    return null
  }
}

function sampled({ data, width, height }: PNG): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(SAMPLE * SAMPLE * 4)
  for (let y = 0; y < SAMPLE; y++) {
    for (let x = 0; x < SAMPLE; x++) {
      const from = (Math.floor((y * height) / SAMPLE) * width + Math.floor((x * width) / SAMPLE)) * 4
      pixels.set(data.subarray(from, from + 4), (y * SAMPLE + x) * 4)
    }
  }
  return pixels
}
