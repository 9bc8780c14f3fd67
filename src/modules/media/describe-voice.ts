/**
 * Finds the length of a voice message and the shape of its sound, by listening to a little of every
 * part.
 */
import type { OpusDecoder } from 'opus-decoder'
import pLimit from 'p-limit'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { type OggOpus, openOggOpus } from './ogg-opus.ts'

export interface VoiceDescription {
  durationMs: number
  /** Loudness of equal parts, 0 to 1024 each (MSC3246). */
  waveform: number[]
}

/** As many as phones show. */
const PARTS = 64
/**
 * Packets that are heard of a part, of mostly 20 ms each. After a leap a decoder needs the first
 * ones to find out how loud it is.
 */
const PACKETS_PER_PART = 8
const PACKETS_TO_SETTLE = 6
/** Speech needs no more, and the decoder has a sixth of the work. */
const SAMPLE_RATE = 8_000
const LOUDEST = 1024

/**
 * Loaded late, as most processes never need it. A function, as Bun's bundler leaves out too much of
 * an import in place.
 */
const loadDecoder = () => import('opus-decoder')

/**
 * One at a time, as each takes some tens of milliseconds of the only thread, in pieces of a few.
 */
const oneAtATime = pLimit(1)

/** @returns null when it can't be played */
export function describeVoice(path: string, sizeBytes: number): Promise<VoiceDescription | null> {
  return oneAtATime(async () => {
    const recording = await openOggOpus(path, sizeBytes)
    if (!recording) return null
    try {
      const waveform = await waveformOf(recording)
      return waveform && { durationMs: recording.durationMs, waveform }
    } finally {
      await recording.close()
    }
  })
}

/** @returns null when a packet is broken */
async function waveformOf(recording: OggOpus): Promise<number[] | null> {
  const { OpusDecoder } = await loadDecoder()
  const { channels, preSkip } = recording
  const decoder = new OpusDecoder({ channels, preSkip, sampleRate: SAMPLE_RATE })
  try {
    await decoder.ready
    const peaks: number[] = []
    for (let part = 0; part < PARTS; part++) {
      const { packets, settling } = await heardOf(recording, part)
      const all = peaksOf(decoder, packets)
      if (all === null) return null
      const heard = all.slice(settling)
      // A recording of a second has fewer packets than there are parts.
      peaks.push(heard.length === 0 ? (peaks.at(-1) ?? 0) : Math.max(...heard))
      await yieldToEventLoop()
    }
    return peaks.map(peak => Math.min(LOUDEST, Math.round(peak * LOUDEST)))
  } finally {
    decoder.free()
  }
}

/** @returns packets of a part; the first `settling` of them only prepare the decoder */
async function heardOf(
  { packets, packetsAt }: OggOpus,
  part: number,
): Promise<{ packets: readonly Uint8Array[]; settling: number }> {
  const atPart = (of: number) => Math.floor((of * (packets?.length ?? 0)) / PARTS)
  if (packets !== null && packets.length <= PARTS * PACKETS_PER_PART)
    return { packets: packets.slice(atPart(part), atPart(part + 1)), settling: 0 }
  const leapt = packets?.slice(atPart(part), atPart(part) + PACKETS_PER_PART)
  const found = leapt ?? (await packetsAt(part / PARTS, PACKETS_PER_PART))
  return { packets: found, settling: Math.min(PACKETS_TO_SETTLE, found.length - 1) }
}

/** @returns the loudest sample of each packet, null when one is broken */
function peaksOf(decoder: OpusDecoder<typeof SAMPLE_RATE>, packets: readonly Uint8Array[]): number[] | null {
  const peaks: number[] = []
  for (const packet of packets) {
    const { channelData, errors } = decoder.decodeFrame(packet)
    if (errors.length > 0) return null
    let peak = 0
    for (const samples of channelData) for (const sample of samples) peak = Math.max(peak, Math.abs(sample))
    peaks.push(peak)
  }
  return peaks
}
