/**
 * The path of a request as the client wrote it. Bun normalises `request.url`: `\` becomes `/`, and
 * dot segments are resolved. A proxy may read the same bytes differently and let a path through
 * that leads elsewhere here: nginx takes `/api/..\sandbox` for a path below /api. Bun's `routes`
 * match the path as it was written, so their parameters tell its segments. A path that two readers
 * may understand differently is refused.
 */
import { pathOf } from './request-path.ts'

/** Deeper than any path that is served. */
const MAX_SEGMENTS = 20
/** Paths below it hold names that others chose, with any character, percent-encoded. */
const MATRIX = '_matrix'
/** `\`, which some readers take for `/`, or a segment of dots, decoded or hidden behind %2F. */
const AMBIGUOUS = /\\|(^|\/)\.{1,2}(\/|$)/

type Respond<S> = (request: Request, server: S) => Response | Promise<Response>

/** @returns routes for Bun.serve that hand every path to `respond`, its segments known */
export function everyRawPath<S>(respond: Respond<S>): Record<string, Respond<S>> {
  const routes = { '/': respond, '/*': respond }
  const patterns = Array.from({ length: MAX_SEGMENTS }, (_, index) =>
    Array.from({ length: index + 1 }, (_, depth) => `/:segment${depth}`).join(''),
  )
  const deeper = patterns.flatMap(pattern => [pattern, `${pattern}/`])
  return { ...routes, ...Object.fromEntries(deeper.map(pattern => [pattern, respond])) }
}

/** @returns what is wrong with the request's path; null when everybody reads it alike */
export function pathProblem(request: Request): string | null {
  const path = pathOf(request.url)
  const segments = segmentsOf(request, path)
  if (segments === null) return `an empty segment, or more than ${MAX_SEGMENTS}`
  const [first] = segments
  if (first === MATRIX) return staysWithin(segments) && firstIn(path) === MATRIX ? null : OTHER_PATH
  if (segments.some(segment => AMBIGUOUS.test(segment))) return OTHER_PATH
  return null
}

const OTHER_PATH = 'a backslash, or a segment of dots'

/** As they came, percent-decoded; null when there were empty ones, or too many. */
function segmentsOf(request: Request, path: string): string[] | null {
  // A request that came by no socket has no parameters, and its URL is all there is.
  const { params } = request as { params?: Record<string, string> }
  if (params === undefined) return path.split('/').slice(1).map(decoded)
  const segments = Object.values(params)
  return segments.length === 0 && path !== '/' ? null : segments
}

function firstIn(path: string): string | undefined {
  return path.split('/', 2)[1]
}

/** True if the path stays below its first segment when `\` and %2F separate segments, too. */
function staysWithin(segments: readonly string[]): boolean {
  let depth = 0
  for (const part of segments.flatMap(segment => segment.split(/[\\/]/))) {
    if (part === '..') depth -= 1
    else if (part !== '' && part !== '.') depth += 1
    if (depth < 1) return false
  }
  return true
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
