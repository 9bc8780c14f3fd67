/** An id for each request: it is in the answer's X-Request-Id, in error bodies and in the log. */
import { randomBytes } from 'node:crypto'

export const REQUEST_ID_HEADER = 'x-request-id'

/** What may be taken over from a caller: short, and harmless in a log. */
const SANE = /^[A-Za-z0-9._-]{8,64}$/

const processPart = randomBytes(6).toString('base64url')
let counter = 0

/** @returns the caller's own X-Request-Id if it is a sane one, else one that no other request has */
export function newRequestId(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER)
  if (given !== null && SANE.test(given)) return given
  counter += 1
  return `${processPart}-${counter.toString(36)}`
}
