/** Reads a body that may be longer than it should be, or longer in coming. */
import { type BodyReader, readerOf } from './body-reader.ts'
import type { TimeLimit } from './time-limit.ts'

export interface BodyReading {
  /** Is told how much is in memory, before and while it comes in; what it throws ends the reading. */
  holding?: ((bytes: number) => void) | undefined
  /** For all of it. */
  limit?: TimeLimit | undefined
}

/** Not all of the body came in within its time. */
export class BodyTooSlow extends Error {
  override readonly name = 'BodyTooSlow'
}

/** A body that says it is no longer is read at once, and held as if it were there. */
const SMALL_BYTES = 16 * 1024

/**
 * The body as UTF-8; bytes that aren't become replacement characters.
 * @returns null when it is longer; no more than the limit is then in memory
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
 * @returns null when it is longer; no more than the limit is then in memory
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
 * For a body that is long, or is chunked and so doesn't say how long it is.
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

/** Leaves the rest of what is too long to whoever answers the request. */
async function readFrom(
  reader: BodyReader,
  maxBytes: number,
  { holding, limit }: BodyReading,
): Promise<Buffer | null> {
  // Whoever waits for the next piece then has the end of the body.
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
  return new Promise((resolve, reject) => {
    const ended = limit.start(() => reject(new BodyTooSlow()))
    work.then(
      result => {
        ended()
        resolve(result)
      },
      error => {
        ended()
        reject(error)
      },
    )
  })
}
