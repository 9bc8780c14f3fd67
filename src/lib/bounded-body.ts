/** Reads the body of a request that may be longer than it should be, or longer in coming. */

export interface BodyReading {
  /** Is told how much is in memory, before and while it comes in; what it throws ends the reading. */
  holding?: (bytes: number) => void
  /** Ends the reading. */
  signal?: AbortSignal
}

/** A body that says it is no longer is read at once, and held as if it were there. */
const SMALL_BYTES = 16 * 1024

/**
 * @returns null when it is longer; no more than the limit is then in memory
 * @throws when the client breaks off, the signal's reason when that aborts, or what `holding` throws
 */
export async function readTextAtMost(
  request: Request,
  maxBytes: number,
  { holding, signal }: BodyReading = {},
): Promise<string | null> {
  const header = request.headers.get('content-length')
  const declared = header === null ? undefined : Number(header)
  if (declared !== undefined && declared > maxBytes) return null
  if (declared !== undefined && (declared <= SMALL_BYTES || !(holding || signal))) {
    holding?.(declared)
    return signal ? orAborted(request.text(), signal) : request.text()
  }
  return request.body ? readPieces(request.body, maxBytes, { holding, signal }) : ''
}

/** Of a body that is long, or is chunked and so doesn't say how long it is. */
async function readPieces(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  { holding, signal }: { [option in keyof BodyReading]: BodyReading[option] | undefined },
): Promise<string | null> {
  const reader = body.getReader()
  // Whoever waits for the next piece then has the end of the body.
  const cancel = () => void reader.cancel().catch(() => undefined)
  signal?.addEventListener('abort', cancel, { once: true })
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      length += next.value.length
      if (length > maxBytes) return null
      holding?.(length)
      pieces.push(next.value)
    }
    signal?.throwIfAborted()
    return Buffer.concat(pieces).toString('utf8')
  } finally {
    signal?.removeEventListener('abort', cancel)
    cancel()
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject)
  })
}
