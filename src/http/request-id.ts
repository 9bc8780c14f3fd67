/**
 * Gives each request an id, for the answer's X-Request-Id, error bodies and the log. It is random,
 * as a counter would tell everybody how many requests others make.
 */

export const REQUEST_ID_HEADER = 'x-request-id'

/** Ids taken over from a caller are short, and harmless in a log. */
const SANE = /^[A-Za-z0-9._-]{8,64}$/

/** @returns the caller's own X-Request-Id if it is a sane one, else a new one */
export function newRequestId(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER)
  return given !== null && SANE.test(given) ? given : crypto.randomUUID()
}
