/**
 * Decides if a page may do what browsers ask no permission for: open a WebSocket (RFC 6455 section
 * 10.2), or call what needs no token. The server has to look at the Origin, which only browsers
 * send.
 */
import type { Cors } from './cors.ts'
import { publicUrlOf } from './public-url.ts'

/**
 * @returns true for our own pages, those of PUBLIC_URL and CORS_ORIGINS, and where there is no page
 */
export function createOriginCheck(publicUrl: string | undefined, cors: Pick<Cors, 'allows'> | undefined) {
  return (request: Request): boolean => {
    const origin = request.headers.get('origin')
    if (origin === null) return true
    if (!URL.canParse(origin)) return false
    // The scheme isn't compared: a proxy that ends TLS and doesn't say so makes it another than the
    // page's.
    const { host } = new URL(origin)
    const own = [publicUrlOf(request, undefined), publicUrl].filter(url => url !== undefined)
    return own.some(url => new URL(url).host === host) || cors?.allows(origin) === true
  }
}
