/**
 * Calls the homeserver as one of our users: authorised, repeated once with a new access token after
 * a revocation, and repeated later under a rate limit.
 */
import { parseErrorResponse } from 'matrix-js-sdk/lib/http-api/index.js'
import type { Clock } from '../lib/clock.ts'
import { askPeer, type PeerAddress, streamFromPeer, textAtMost } from '../lib/peer-request.ts'
import type { Access, AccountAccess } from './account-access.ts'
import { accountRefusal, bearer, createHttpApi, type JsonCall, MAX_ANSWER_BYTES } from './http-api.ts'
import { retryWhenLimited } from './retry-when-limited.ts'

/** A request whose body or answer isn't JSON, or isn't to be held in memory. */
export interface RawCall extends Omit<JsonCall, 'body'> {
  headers?: Record<string, string>
  /** Made anew for each try. */
  body?: () => Bun.BodyInit
  signal?: AbortSignal
  /** Whoever calls reads the answer piece by piece, and bounds it. */
  isStream?: boolean
  /**
   * True for callers who wait for the connection to break: Bun repeats a GET by itself when a kept
   * connection is reset.
   */
  hasOwnConnection?: boolean
}

export interface CallOptions {
  /** Milliseconds that the call may wait for a rate limit; 0: the caller waits by itself. */
  patienceMs?: number
}

export type MatrixCalls = ReturnType<typeof createMatrixCalls>

/** Default wait for a rate limit: well below the lease of a message being sent. */
const PATIENCE_MS = 15_000
const MAX_ERROR_BYTES = 64 * 1024

/** Every call throws GatewayError; `what` completes "the homeserver refused to …". */
export function createMatrixCalls(options: { address: PeerAddress; access: AccountAccess; clock: Clock }) {
  const { address, access, clock } = options
  const api = createHttpApi(address)
  const send = (request: Request, { isStream, hasOwnConnection }: RawCall) => {
    if (address.fetch) return address.fetch(request)
    if (isStream) return streamFromPeer(request)
    return askPeer(request, { keepalive: !hasOwnConnection }, MAX_ANSWER_BYTES)
  }

  /** Does `work`, and once more with another access token if the first is refused. */
  async function authorised<T>(userId: string, work: (access: Access) => Promise<T>): Promise<T> {
    let current = await access.of(userId)
    for (let isRepeat = false; ; isRepeat = true) {
      try {
        const result = await work(current)
        access.accepted(userId, current)
        return result
      } catch (error) {
        const refusal = accountRefusal(error)
        if (refusal === null) throw error
        // The second time this throws: a token that is new is not replaced again at once.
        current = await access.refused(userId, current, refusal)
        if (isRepeat) throw error
      }
    }
  }

  async function fetchRaw(call: RawCall, { accessToken, query: whose }: Access): Promise<Response> {
    const url = api.url({ ...call, query: { ...whose, ...call.query } })
    const response = await send(
      new Request(url.href, {
        method: call.method,
        headers: { ...call.headers, ...bearer(accessToken) },
        ...(call.body === undefined ? {} : { body: call.body() }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      }),
      call,
    )
    if (response.ok) return response
    throw parseErrorResponse(response, await textAtMost(response, MAX_ERROR_BYTES))
  }

  return {
    /** @returns the parsed JSON of the answer */
    json: (userId: string, what: string, call: JsonCall, options: CallOptions = {}): Promise<unknown> =>
      retryWhenLimited(clock, what, options.patienceMs ?? PATIENCE_MS, () =>
        authorised(userId, ({ accessToken, query }) =>
          api.request({ ...call, query: { ...query, ...call.query } }, accessToken),
        ),
      ),

    /**
     * For bodies that are no JSON, and answers that are not to be held in memory.
     * @returns an answer with a status of success, its body unread
     */
    raw: (userId: string, what: string, call: RawCall, options: CallOptions = {}): Promise<Response> =>
      retryWhenLimited(clock, what, options.patienceMs ?? PATIENCE_MS, () =>
        authorised(userId, held => fetchRaw(call, held)),
      ),

    trouble: access.trouble,
  }
}
