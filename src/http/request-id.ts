/** An id for each request: it is in the answer's X-Request-Id, in error bodies and in the log. */
import { randomBytes } from 'node:crypto'

/** What may be taken over from a caller: short, and harmless in a log. */
const SANE = /^[A-Za-z0-9._-]{8,64}$/

const processPart = randomBytes(6).toString('base64url')
let counter = 0
const ids = new WeakMap<Request, string>()

/** The caller's own X-Request-Id if it is a sane one, else one that no other request has. The same for the same request. */
export function requestIdOf(request: Request): string {
  const known = ids.get(request)
  if (known !== undefined) return known
  const given = request.headers.get('x-request-id')
  const id = given !== null && SANE.test(given) ? given : `${processPart}-${(counter++).toString(36)}`
  ids.set(request, id)
  return id
}
