/**
 * Bounds the memory that requests under way may take together. Each POST takes room for what may be held of its body; when there is none left, the
 * next ones are refused until others are answered. What waits in the queue takes none: it is on the disk.
 */
import { GatewayError } from '../domain/errors.ts'
import { httpErrorOf } from './errors.ts'

export interface InFlight {
  /** Has a request answered if there is room for it. @throws HttpError 429 */
  within(request: Request, answer: () => Response | Promise<Response>): Promise<Response>
}

export const MAX_BYTES_IN_FLIGHT = 128 * 1024 * 1024
/** Of a request, beside its body. */
const BASE_BYTES = 8 * 1024
/** A body that is read as a whole is no larger. */
const WHOLE_BYTES = 1024 * 1024
/** Of an upload, which is on its way to the disk. */
const STREAM_BYTES = 256 * 1024
const RETRY_AFTER_S = 1

/** @param maxBytes for all requests under way together */
export function createInFlight(maxBytes: number): InFlight {
  let bytes = 0
  return {
    async within(request, answer) {
      const needed = bytesFor(request)
      if (bytes + needed > maxBytes) throw tooMany()
      bytes += needed
      try {
        return await answer()
      } finally {
        bytes -= needed
      }
    },
  }
}

function bytesFor({ headers }: Request): number {
  const isUpload = headers.get('content-type')?.startsWith('multipart/') === true
  const declared = Number(headers.get('content-length') ?? WHOLE_BYTES)
  return BASE_BYTES + Math.min(declared || 0, isUpload ? STREAM_BYTES : WHOLE_BYTES)
}

function tooMany(): Error {
  const message = 'Too many requests are under way. Nothing of this one was done'
  return httpErrorOf(new GatewayError('too_many_requests', message, RETRY_AFTER_S))
}
