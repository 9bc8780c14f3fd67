/** GET /sync: the long poll. What it answers is built in sync-response.ts. */
import { validate } from '../body.ts'
import { type Call, intQuery } from '../call.ts'
import { badJson, invalidParam, MatrixError } from '../errors.ts'
import { type Filter, filterSchema } from '../filter.ts'
import type { JsonObject } from '../json.ts'
import { buildSync, isEmpty, parseSyncToken } from '../sync-response.ts'

const MAX_TIMEOUT_MS = 10 * 60_000

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3sync */
export async function sync(call: Call): Promise<JsonObject> {
  const { core, requester, query } = call
  // A client that is answered at once would ask again at once; an error makes it wait.
  if (core.stopping.signal.aborted) throw new MatrixError(503, 'M_UNKNOWN', 'The server is stopping')
  const token = query.get('since')
  const since = token ? parseSyncToken(token) : undefined
  if (token && !since) throw invalidParam('since is not a token of this server')
  const request = { since, filter: readFilter(call), fullState: query.get('full_state') === 'true' }
  const deadline = core.clock.steady() + intQuery(call, 'timeout', 0, MAX_TIMEOUT_MS)
  if (since) await forgetSeen(call, since.position)
  const signals = [call.request.signal, core.stopping.signal]
  for (;;) {
    const answer = buildSync(core, requester, request)
    const left = deadline - core.clock.steady()
    const ended = left <= 0 || signals.some(signal => signal.aborted)
    if (!since || request.fullState || !isEmpty(answer) || ended) return answer
    await core.stream.wait(requester.userId, left, signals)
  }
}

function readFilter(call: Call): Filter {
  const text = call.query.get('filter')
  if (text === null || text === '') return {}
  const stored = text.startsWith('{') ? text : call.core.users.filter(Number(text), call.requester.userId)
  if (stored === undefined) throw invalidParam('Unknown filter')
  let value: unknown
  try {
    value = JSON.parse(stored)
  } catch {
    throw badJson('The filter is not JSON')
  }
  return validate(filterSchema, value)
}

/** A client that comes back with a token has what was delivered before it. */
async function forgetSeen({ core, requester }: Call, position: number): Promise<void> {
  const { userId, deviceId } = requester
  if (deviceId === undefined || !core.keys.hasSeen(userId, deviceId, position)) return
  await core.commit(tx => {
    tx.wrote = true
    core.keys.deleteSeen(userId, deviceId, position)
  })
}
