/** One wide line for each request. */
import type { Clock } from '../lib/clock.ts'
import { createFailureLimit } from '../lib/failure-limit.ts'
import { LOG_LEVELS, type Logger, type LogLevel } from '../lib/logger.ts'
import { callerOf } from './authentication.ts'
import { REQUEST_ID_HEADER } from './request-id.ts'
import { notesOf } from './request-notes.ts'
import { pathOf } from './request-path.ts'
import { shownPath } from './shown-path.ts'

/** Asked for every few seconds by machines; what goes well there is nobody's news. */
const PROBES = ['/health', '/ready', '/metrics']
/** A send to hundreds of recipients makes as many messages; the rest of them is counted. */
const MAX_MESSAGE_IDS = 10
const MEDIA_ROUTE = '/api/v1/media/:id'
const STRANGERS = 'strangers'
const MAX_STRANGER_LINES = 20
const STRANGER_WINDOW_MS = 60_000

/** Facts that the answer alone doesn't tell. */
interface Answered {
  /** 101 of one that became a WebSocket. */
  status: number
  ms: number
  isMount: boolean
}

/**
 * @param lowest the lowest level that is written; `debug` also logs every request of an unknown
 * caller, successful probes, and the traffic of bridges and the sandbox with the mounts
 */
export function createAccessLog(logger: Logger, lowest: LogLevel, clock: Clock) {
  const verbose = lowest === 'debug'
  const isWritten = (level: LogLevel) => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest)
  const written = { debug: verbose, info: isWritten('info'), warn: isWritten('warn') }
  const strangers = createStrangerLines(logger, clock)
  return (request: Request, response: Response, { status, ms, isMount }: Answered): void => {
    const { route, messages } = notesOf(request)
    const isQuiet = status < 400 && (isMount || (route !== undefined && PROBES.includes(route)))
    const level = isQuiet ? 'debug' : status >= 500 ? 'warn' : 'info'
    if (!written[level]) return
    const caller = callerOf(request)
    // A signed address is a permission, too.
    const isStranger = caller === undefined && status < 500 && !(status < 400 && route === MEDIA_ROUTE)
    if (isStranger && !isQuiet && !verbose && !strangers.mayLog()) return
    const line = {
      request_id: response.headers.get(REQUEST_ID_HEADER) ?? undefined,
      method: request.method,
      path: shownPath(request),
      route,
      status,
      ms: Math.round(ms * 10) / 10,
      ...(caller &&
        ('credential' in caller
          ? { client_id: caller.credential.clientId }
          : { token_id: caller.holder.tokenId })),
      ...(messages && { message_ids: messages.slice(0, MAX_MESSAGE_IDS), messages: messages.length }),
    }
    logger[level](line, 'request')
  }
}

/**
 * Logs few of the requests without a token or credential and counts the others: whoever can reach
 * us could fill the disk with lines.
 */
function createStrangerLines(logger: Logger, clock: Clock) {
  const limit = createFailureLimit({ maxFailures: MAX_STRANGER_LINES, windowMs: STRANGER_WINDOW_MS, clock })
  let leftOut = 0
  return {
    mayLog(): boolean {
      if (limit.waitMs(STRANGERS) > 0) {
        leftOut += 1
        return false
      }
      if (leftOut > 0) logger.info({ requests: leftOut }, 'requests of unknown callers were not logged')
      leftOut = 0
      limit.record(STRANGERS)
      return true
    },
  }
}

/** Tells if a URL is one by which the process is watched. */
export function isProbe(url: string): boolean {
  return PROBES.includes(pathOf(url))
}
