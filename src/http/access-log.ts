/** One wide line for each request. */
import type { Logger } from '../lib/logger.ts'
import { callerOf } from './plugins/auth.ts'
import { REQUEST_ID_HEADER } from './request-id.ts'
import { notesOf } from './request-notes.ts'
import { pathOf } from './request-path.ts'
import { shownPath } from './shown-path.ts'

/** Asked for every few seconds by machines; what goes well there is nobody's news. */
const PROBES = ['/health', '/ready', '/metrics']
/** A send to hundreds of recipients makes as many messages; the rest of them is counted. */
const MAX_MESSAGE_IDS = 10

/** What the answer alone doesn't tell. */
interface Answered {
  /** 101 of one that became a WebSocket. */
  status: number
  ms: number
  isMount: boolean
}

/**
 * @param verbose also logs, at debug level, what goes well and is nobody's news: probes, and the traffic of bridges and the sandbox with the
 *   mounts
 */
export function createAccessLog(logger: Logger, verbose: boolean) {
  return (request: Request, response: Response, { status, ms, isMount }: Answered): void => {
    const { route, messages } = notesOf(request)
    const isQuiet = status < 400 && (isMount || (route !== undefined && PROBES.includes(route)))
    if (isQuiet && !verbose) return
    const line = {
      request_id: response.headers.get(REQUEST_ID_HEADER) ?? undefined,
      method: request.method,
      path: shownPath(request),
      route,
      status,
      ms: Math.round(ms * 10) / 10,
      ...callerOf(request),
      ...(messages && { message_ids: messages.slice(0, MAX_MESSAGE_IDS), messages: messages.length }),
    }
    if (isQuiet) logger.debug(line, 'request')
    else if (status >= 500) logger.warn(line, 'request')
    else logger.info(line, 'request')
  }
}

/** Whether a URL is one of those that tell how the process does. */
export function isProbe(url: string): boolean {
  return PROBES.includes(pathOf(url))
}
