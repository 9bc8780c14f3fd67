/** Reads a body with limits on its size and its time. */
import { type BodyReader, readerOf } from './body-reader.ts'
import type { TimeLimit } from './time-limit.ts'

export interface BodyReading {
  /** Called with the bytes in memory, before and during reading; if it throws, reading stops. */
  holding?: ((bytes: number) => void) | undefined
  /** Time limit for the whole body. */
  limit?: TimeLimit | undefined
}

/** The body did not arrive in time. */
export class BodyTooSlow extends Error {
  override readonly name = 'BodyTooSlow'
}

/** A body that declares at most this size is read at once and counted as if it were there. */
const SMALL_BYTES = 16 * 1024

/**
 * Reads the body as UTF-8; invalid bytes become replacement characters.
 * @returns null when it is longer than `maxBytes`; memory holds no more than that
 * @throws as `readBytesAtMost`
 */
export async function readTextAtMost(
  request: Request,
  maxBytes: number,
  reading: BodyReading = {},
): Promise<string | null> {
  const bytes = await readBytesAtMost(request, maxBytes, reading)
  return bytes && new TextDecoder().decode(bytes)
}

/**
 * @returns null when it is longer than `maxBytes`; memory holds no more than that
 * @throws BodyTooSlow, an error when the client breaks off, or what `holding` throws
 */
export async function readBytesAtMost(
  request: Request,
  maxBytes: number,
  { holding, limit }: BodyReading = {},
): Promise<Uint8Array | null> {
  const header = request.headers.get('content-length')
  const declared = header === null ? undefined : Number(header)
  if (declared !== undefined && declared > maxBytes) return null
  if (declared !== undefined && (declared <= SMALL_BYTES || !(holding || limit))) {
    holding?.(declared)
    return limit ? within(limit, request.bytes()) : request.bytes()
  }
  const reader = readerOf(request)
  return reader ? readFrom(reader, maxBytes, { holding, limit }) : new Uint8Array()
}

/**
 * Reads a body that is long, or chunked and so of unknown length.
 * @returns null when it is longer than `maxBytes`
 */
export async function readPieces(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  reading: BodyReading = {},
): Promise<Buffer | null> {
  const reader = body.getReader()
  try {
    return await readFrom(reader, maxBytes, reading)
  } finally {
    void reader.cancel().catch(() => undefined)
  }
}

/** Leaves the rest of a body that is too long to whoever answers the request. */
async function readFrom(
  reader: BodyReader,
  maxBytes: number,
  { holding, limit }: BodyReading,
): Promise<Buffer | null> {
  // Cancelling makes the pending read return the end of the body.
  const cancel = () => void reader.cancel().catch(() => undefined)
  let isLate = false
  const ended = limit?.start(() => {
    isLate = true
    cancel()
  })
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      length += next.value.length
      if (length > maxBytes) return null
      holding?.(length)
      pieces.push(next.value)
    }
    if (isLate) throw new BodyTooSlow()
    return Buffer.concat(pieces)
  } finally {
    ended?.()
  }
}

function within<T>(limit: TimeLimit, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const ended = limit.start(() => late.reject(new BodyTooSlow()))
  return Promise.race([work, late.promise]).finally(ended)
}
