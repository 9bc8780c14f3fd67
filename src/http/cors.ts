/**
 * Answers cross-origin calls from browsers (fetch.spec.whatwg.org, "CORS protocol"): none are
 * allowed, unless CORS_ORIGINS names the pages that may make them.
 */

const METHODS = 'GET, POST, PUT, PATCH, DELETE'
const REQUEST_HEADERS = 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id'
const ANSWER_HEADERS =
  'Content-Disposition, Idempotency-Replayed, Location, Retry-After, WWW-Authenticate, X-Request-Id'
/** How long a browser may keep the answer to a preflight, in seconds. */
const PREFLIGHT_TTL_S = '600'

export interface Cors {
  /** Tells if pages of this origin may call us. */
  allows(origin: string): boolean
  /** The answer to a preflight from an origin that may call us; null: the request is none. */
  preflight(request: Request): Response | null
  /** Lets the page read the answer. */
  open(request: Request, response: Response): void
}

/** @param origins as in CORS_ORIGINS; `*` is any */
export function createCors(origins: readonly string[]): Cors {
  const any = origins.includes('*')
  const allows = (origin: string) => any || origins.includes(origin)
  const allowedOrigin = (request: Request) => {
    const origin = request.headers.get('origin')
    return origin !== null && allows(origin) ? origin : null
  }

  function open(request: Request, { headers }: Response): void {
    // A cache must not give one origin's answer to another, nor one without the header to a page
    // that may have it.
    headers.append('Vary', 'Origin')
    const origin = allowedOrigin(request)
    if (origin === null) return
    headers.set('Access-Control-Allow-Origin', any ? '*' : origin)
    headers.set('Access-Control-Expose-Headers', ANSWER_HEADERS)
  }

  return {
    allows,
    open,
    preflight(request) {
      if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return null
      if (allowedOrigin(request) === null) return null
      const response = new Response(null, {
        status: 204,
        headers: {
          'Access-Control-Allow-Methods': METHODS,
          'Access-Control-Allow-Headers': REQUEST_HEADERS,
          'Access-Control-Max-Age': PREFLIGHT_TTL_S,
        },
      })
      open(request, response)
      return response
    },
  }
}
