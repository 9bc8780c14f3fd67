/** Finds out the pixels of an image, and its BlurHash where that is cheap. */
import { encode } from 'blurhash'
import { PNG } from 'pngjs'

export interface ImageDescription {
  width: number
  height: number
  /** Empty when the image is too large to decode for it. */
  blurHash: string
}

/** An image's header is within its first bytes. */
const HEADER_BYTES = 256 * 1024
/** Decoding takes 4 bytes a pixel, for a moment. */
const MAX_PIXELS_DECODED = 4_000_000
const MAX_BYTES_DECODED = 4 * 1024 * 1024
/** BlurHash keeps a few waves of the picture; 32 pixels a side are plenty to find them. */
const THUMBNAIL_PIXELS = 32
const COMPONENTS = { x: 4, y: 3 }

/** @returns null when the file isn't an image we can read, whatever it claims to be */
export async function describeImage(path: string, sizeBytes: number): Promise<ImageDescription | null> {
  try {
    const header = await Bun.file(path).slice(0, HEADER_BYTES).arrayBuffer()
    const { width, height } = await new Bun.Image(header).metadata()
    const cheap = width * height <= MAX_PIXELS_DECODED && sizeBytes <= MAX_BYTES_DECODED
    return { width, height, blurHash: cheap ? await blurHashOf(path) : '' }
  } catch {
    return null
  }
}

async function blurHashOf(path: string): Promise<string> {
  try {
    const image = new Bun.Image(path, { maxPixels: MAX_PIXELS_DECODED })
    const thumbnail = await image.resize(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS, { filter: 'box' }).png().buffer()
    const { data, width, height } = PNG.sync.read(thumbnail)
    return encode(new Uint8ClampedArray(data), width, height, COMPONENTS.x, COMPONENTS.y)
  } catch {
    return ''
  }
}
