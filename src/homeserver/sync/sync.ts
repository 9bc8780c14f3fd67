/** GET /sync: the long poll. sync-response.ts builds its answers. */

import type { Pieces } from '../../lib/json-answer.ts'
import { type Call, intQuery, validate } from '../call.ts'
import { invalidParam, MatrixError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { parseToken } from '../rooms/timeline.ts'
import { type Filter, filterSchema } from './filter.ts'
import { SyncAnswer } from './sync-response.ts'

const MAX_TIMEOUT_MS = 10 * 60_000

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3sync */
export async function* sync(call: Call): Pieces {
  const { core, query } = call
  // A client answered at once would ask again at once; an error makes it wait.
  if (core.stopping.signal.aborted) throw new MatrixError(503, 'M_UNKNOWN', 'The server is stopping')
  const token = query.get('since')
  const since = token ? parseToken(token) : undefined
  if (token && !since) throw invalidParam('since is not a token of this server')
  const request = { since, filter: readFilter(call), fullState: query.get('full_state') === 'true' }
  const deadline = core.clock.steady() + intQuery(call, 'timeout', 0, MAX_TIMEOUT_MS)
  if (since) await forgetSeen(call, since.position)
  const signals = [call.request.signal, core.stopping.signal]
  for (;;) {
    const before = [core.stream.position, core.typing.position]
    const answer = new SyncAnswer(call, request)
    const sections = answer.sections()
    const first = await sections.next()
    const left = deadline - core.clock.steady()
    const ended = left <= 0 || signals.some(signal => signal.aborted)
    if (!first.done || !since || request.fullState || ended) {
      yield `{${answer.head()}${first.value ?? ''}`
      yield* sections
      return yield '}'
    }
    // An event that arrived during the search has woken nobody.
    const hasMoved = core.stream.position !== before[0] || core.typing.position !== before[1]
    if (!hasMoved) await core.stream.wait(call.userId, left, signals)
  }
}

function readFilter({ core, query, userId }: Call): Filter {
  const text = query.get('filter')
  if (text === null || text === '') return {}
  const stored = text.startsWith('{') ? text : core.users.filter(Number(text), userId)
  if (stored === undefined) throw invalidParam('Unknown filter')
  return validate(filterSchema, parseJson(stored))
}

/** A client that returns with a token has received everything before it. */
async function forgetSeen({ core, userId, deviceId }: Call, position: number): Promise<void> {
  if (deviceId === undefined || !core.keys.hasSeen(userId, deviceId, position)) return
  let hasMore = true
  while (hasMore) {
    hasMore = await core.commit(() => core.keys.deleteSeen(userId, deviceId, position))
  }
}
