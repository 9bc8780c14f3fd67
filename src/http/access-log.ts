/** One wide line for each request. */
import type { Logger } from '../lib/logger.ts'
import { callerOf } from './plugins/auth.ts'
import { REQUEST_ID_HEADER } from './request-id.ts'

/** A request that took longer is worth a line even when all went well. */
const SLOW_MS = 1_000

/**
 * @param verbose also logs, at debug level, what went well and fast: at thousands of requests a second a line each would cost more than
 *   the work
 */
export function createAccessLog(logger: Logger, verbose: boolean) {
  return (request: Request, response: Response, ms: number): void => {
    const { status } = response
    const remarkable = status >= 400 || ms >= SLOW_MS
    if (!remarkable && !verbose) return
    const line = {
      method: request.method,
      // The query may hold a token or a signature.
      path: pathOf(request.url),
      status,
      ms: Math.round(ms * 10) / 10,
      request_id: response.headers.get(REQUEST_ID_HEADER) ?? undefined,
      ...callerOf(request),
    }
    if (remarkable) logger.info(line, 'request')
    else logger.debug(line, 'request')
  }
}

/** Where a URL's path begins: at the third slash, or at once when the request named no host. */
export function pathStart(url: string): number {
  if (url.startsWith('/')) return 0
  const start = url.indexOf('/', url.indexOf('//') + 2)
  return start === -1 ? url.length : start
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return url.slice(pathStart(url), query === -1 ? undefined : query)
}
