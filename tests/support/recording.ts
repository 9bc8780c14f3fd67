/** A voice message as phones record it: 2 s of Opus in Ogg, each half second sound or silence. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const RECORDING: Uint8Array<ArrayBuffer> = new Uint8Array(
  readFileSync(join(import.meta.dir, 'recording.ogg')),
)
const SECONDS = 2
const SAMPLES_PER_SECOND = 48_000
const PRE_SKIP = 312

/** The pages of an Ogg file (RFC 3533 section 6). */
export function pagesOf(ogg: Uint8Array): Buffer[] {
  const bytes = Buffer.from(ogg)
  const starts: number[] = []
  for (let at = bytes.indexOf('OggS'); at !== -1; at = bytes.indexOf('OggS', at + 4)) starts.push(at)
  return starts.map((start, index) => bytes.subarray(start, starts[index + 1] ?? bytes.length))
}

/** The sound of RECORDING over and over. */
export function recordingOf(seconds: number): Uint8Array<ArrayBuffer> {
  const [head, tags, ...sound] = pagesOf(RECORDING)
  const pages = [head ?? Buffer.alloc(0), tags ?? Buffer.alloc(0)]
  for (let from = 0; from < seconds; from += SECONDS) {
    for (const page of sound) {
      const moved = Buffer.from(page)
      const ends = Math.min(Number(page.readBigInt64LE(6)), SECONDS * SAMPLES_PER_SECOND + PRE_SKIP)
      moved.writeBigInt64LE(BigInt(from * SAMPLES_PER_SECOND + ends), 6)
      pages.push(moved)
    }
  }
  return new Uint8Array(Buffer.concat(pages))
}
