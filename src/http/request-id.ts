/**
 * An id for each request: it is in the answer's X-Request-Id, in error bodies and in the log. Random, as a number that goes up would tell
 * everybody how many requests others make.
 */

export const REQUEST_ID_HEADER = 'x-request-id'

/** What may be taken over from a caller: short, and harmless in a log. */
const SANE = /^[A-Za-z0-9._-]{8,64}$/

/** @returns the caller's own X-Request-Id if it is a sane one, else one that no other request has */
export function newRequestId(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER)
  return given !== null && SANE.test(given) ? given : crypto.randomUUID()
}
