/**
 * Reads Opus recordings in Ogg (RFC 3533, RFC 7845): their length, and packets from any place,
 * without reading all of a long one.
 */
import { open } from 'node:fs/promises'

export interface OggOpus {
  channels: number
  /** Samples at the beginning that aren't played, at SAMPLE_RATE. */
  preSkip: number
  durationMs: number
  /** All packets of a short recording, in order; null for a long one. */
  packets: readonly Uint8Array[] | null
  /**
   * Packets from a place in the recording.
   * @param share of the recording, 0 to 1
   * @returns at most `count` packets that follow one another from about there on
   */
  packetsAt(share: number, count: number): Promise<readonly Uint8Array[]>
  close(): Promise<void>
}

/** Positions in Ogg/Opus count samples at this rate, whatever was recorded. */
const SAMPLE_RATE = 48_000
/** A day. Positions have 64 bits, and a broken one says millions of years. */
const MAX_DURATION_MS = 86_400_000
/** A page's largest size (RFC 3533 section 6). */
const PAGE_BYTES = 65_307
const PAGE_HEADER_BYTES = 27
/** A recording up to this size is read as a whole: it has too few pages to find places by. */
const SMALL_BYTES = 1024 * 1024
/**
 * A recording with very many packets counts as long whatever its size: all of them together would
 * take long, and much memory.
 */
const MOST_PACKETS = 32_768
/** Mono and stereo; more channels are no voice message (RFC 7845 section 5.1.1). */
const MAX_CHANNELS = 2
const CAPTURE = Buffer.from('OggS')
const HEAD = Buffer.from('OpusHead')
/** Neither is sound: identification, comment. */
const HEADER_PACKETS = 2

interface Page {
  /** Samples up to its end; negative where no packet ends in it. */
  position: bigint
  serial: number
  /** True when its first bytes end a packet of the page before. */
  isContinued: boolean
  /** Sizes of the pieces of packets; one of less than 255 ends a packet. */
  lacing: Uint8Array
  data: Uint8Array
  sizeBytes: number
}

/** @returns null for what isn't Opus in Ogg, or is broken; else close it */
export async function openOggOpus(path: string, sizeBytes: number): Promise<OggOpus | null> {
  const file = await open(path, 'r')
  const read = async (from: number, length: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, from)
    return buffer.subarray(0, bytesRead)
  }
  const opened = await recordingOf(read, sizeBytes)
  if (opened) return { ...opened, close: () => file.close() }
  await file.close()
  return null
}

type Read = (from: number, length: number) => Promise<Buffer>

async function recordingOf(read: Read, sizeBytes: number): Promise<Omit<OggOpus, 'close'> | null> {
  const first = pageIn(await read(0, PAGE_BYTES), 0)
  if (!first) return null
  const head = Buffer.from(first.data)
  if (!head.subarray(0, HEAD.length).equals(HEAD) || head.length < 19) return null
  const [channels, preSkip] = [head.readUInt8(9), head.readUInt16LE(10)]
  const isPlain = channels > 0 && channels <= MAX_CHANNELS && head.readUInt8(18) === 0
  const end = lastPosition(await read(Math.max(0, sizeBytes - 2 * PAGE_BYTES), 2 * PAGE_BYTES), first.serial)
  const durationMs = end === null ? 0 : Math.round((Number(end) - preSkip) / (SAMPLE_RATE / 1000))
  if (!isPlain || durationMs <= 0 || durationMs > MAX_DURATION_MS) return null
  const all = sizeBytes > SMALL_BYTES ? null : packetsIn(await read(0, sizeBytes), MOST_PACKETS + 1)
  const packets = all && all.length <= MOST_PACKETS ? all.slice(HEADER_PACKETS) : null
  return { channels, preSkip, durationMs, packets, packetsAt: byPages(read, sizeBytes, first.serial) }
}

/**
 * Takes a place in the file for one in the recording, which is about right however the rate
 * changes.
 */
function byPages(read: Read, sizeBytes: number, serial: number): OggOpus['packetsAt'] {
  return async (share, count) => {
    const bytes = await read(Math.floor(share * sizeBytes), 2 * PAGE_BYTES)
    for (let at = bytes.indexOf(CAPTURE); at !== -1; at = bytes.indexOf(CAPTURE, at + 1)) {
      const page = pageIn(bytes, at)
      // The pages of both headers end at 0.
      if (page?.serial === serial && page.position > 0n)
        return packetsIn(bytes.subarray(at, at + page.sizeBytes), count)
    }
    return []
  }
}

/** Samples up to the end of the stream, as the last of its pages that tells says. */
function lastPosition(tail: Buffer, serial: number): bigint | null {
  for (
    let at = tail.lastIndexOf(CAPTURE);
    at !== -1;
    at = at === 0 ? -1 : tail.lastIndexOf(CAPTURE, at - 1)
  ) {
    const page = pageIn(tail, at)
    if (page?.serial === serial && page.position >= 0n) return page.position
  }
  return null
}

/**
 * @returns the whole packets of the pages that follow one another from the first byte on, at most
 * so many
 */
function packetsIn(bytes: Buffer, most: number): Uint8Array[] {
  let at = 0
  const packets: Uint8Array[] = []
  let unfinished: Uint8Array[] = []
  let isSkipping = true
  for (let page = pageIn(bytes, at); page; page = pageIn(bytes, at)) {
    at += page.sizeBytes
    // The beginning of its first packet lies before the first page, or was in one that is missing.
    if (!page.isContinued) [isSkipping, unfinished] = [false, []]
    let from = 0
    for (const size of page.lacing) {
      unfinished.push(page.data.subarray(from, from + size))
      from += size
      if (size === 255) continue
      if (!isSkipping) packets.push(Buffer.concat(unfinished))
      if (packets.length === most) return packets
      ;[isSkipping, unfinished] = [false, []]
    }
  }
  return packets
}

/** @returns null where there is no whole page */
function pageIn(bytes: Buffer, at: number): Page | null {
  const header = bytes.subarray(at, at + PAGE_HEADER_BYTES)
  if (header.length < PAGE_HEADER_BYTES || !header.subarray(0, CAPTURE.length).equals(CAPTURE)) return null
  const lacing = bytes.subarray(at + PAGE_HEADER_BYTES, at + PAGE_HEADER_BYTES + header.readUInt8(26))
  const dataAt = at + PAGE_HEADER_BYTES + lacing.length
  const dataBytes = lacing.reduce((sum, size) => sum + size, 0)
  const data = bytes.subarray(dataAt, dataAt + dataBytes)
  if (lacing.length < header.readUInt8(26) || data.length < dataBytes) return null
  return {
    position: header.readBigInt64LE(6),
    serial: header.readUInt32LE(14),
    isContinued: (header.readUInt8(5) & 1) === 1,
    lacing,
    data,
    sizeBytes: PAGE_HEADER_BYTES + lacing.length + dataBytes,
  }
}
