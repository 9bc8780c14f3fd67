/**
 * matrix-js-sdk as a typed HTTP client. Only its HTTP layer is loaded: the whole SDK takes 17 MB
 * and 150 ms at each start, for a store, timeline and crypto that a gateway doesn't use.
 */
import {
  type ConnectionError,
  HTTPError,
  type IHttpOpts,
  MatrixError,
  MatrixHttpApi,
  type Method,
} from 'matrix-js-sdk/lib/http-api/index.js'
import { TypedEventEmitter } from 'matrix-js-sdk/lib/models/typed-event-emitter.js'
import { z } from 'zod'
import { GatewayError } from '../domain/errors.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import { AnswerRefused, askPeer, type PeerAddress, type PeerRequestInit } from '../lib/peer-request.ts'
import { refusalOf } from '../lib/refusal.ts'

/** A request with a JSON body and a JSON answer. */
export interface JsonCall {
  method: 'GET' | 'POST' | 'PUT'
  /** Below `prefix`, its variable parts percent-encoded. */
  path: string
  query?: Readonly<Record<string, string>>
  body?: Record<string, unknown>
  /** By default that of the client-server API, version 3. */
  prefix?: string
}

/** A request to a homeserver over the network is given up after this many milliseconds. */
const TIMEOUT_MS = 30_000
/** The state of a room with some 50,000 members, or what a chat of weeks has to tell. */
export const MAX_ANSWER_BYTES = 32 * 1024 * 1024

const noLog = () => undefined
const silent: NonNullable<IHttpOpts['logger']> = {
  trace: noLog,
  debug: noLog,
  info: noLog,
  warn: noLog,
  error: noLog,
  getChild: () => silent,
}

export function createHttpApi(address: PeerAddress) {
  const { fetch: inProcess } = address
  const sdk = new MatrixHttpApi(new TypedEventEmitter(), {
    baseUrl: address.baseUrl,
    prefix: '/_matrix/client/v3',
    onlyData: true,
    logger: silent,
    fetchFn: ((url: string | URL, init: PeerRequestInit = {}) =>
      inProcess
        ? inProcess(new Request(String(url), init as RequestInit))
        : askPeer(url, init, MAX_ANSWER_BYTES)) as typeof fetch,
    // A call within the process can't get lost, so it needs no timer.
    ...(inProcess ? {} : { localTimeoutMs: TIMEOUT_MS }),
  })
  return {
    /**
     * @param accessToken a user's, or an as_token (then `user_id` in the query names the user)
     * @returns the parsed answer
     * @throws MatrixError, HTTPError or ConnectionError of the SDK
     */
    request: ({ method, path, query, body, prefix }: JsonCall, accessToken?: string): Promise<unknown> =>
      sdk.request(method as Method, path, query, body, {
        priority: 'auto',
        ...(accessToken === undefined ? {} : { headers: bearer(accessToken) }),
        ...(prefix === undefined ? {} : { prefix }),
      }),
    url: ({ path, query, prefix }: Pick<JsonCall, 'path' | 'query' | 'prefix'>): URL =>
      sdk.getUrl(path, query, prefix),
  }
}

/** The header by which a request is authorised (client-server API, "Using access tokens"). */
export function bearer(accessToken: string): { Authorization: string } {
  return { Authorization: `Bearer ${accessToken}` }
}

/** Turns an error of a Matrix call into ours. @param what was tried, as "send the message" */
export function asGatewayError(error: unknown, what: string): GatewayError {
  if (error instanceof GatewayError) return error
  if (error instanceof MatrixError || error instanceof HTTPError) {
    const status = error.httpStatus ?? 0
    const message = `the homeserver refused to ${what} (${reasonOf(error)})`
    const limitedMs = rateLimitMs(error)
    if (limitedMs !== null) return new GatewayError('homeserver_unavailable', message, limitedMs / 1000)
    if (status === INSUFFICIENT_STORAGE) return new GatewayError('storage_full', message)
    if (status >= 500 || refusalOf(status) === 'passing' || accountRefusal(error) !== null)
      return new GatewayError('homeserver_unavailable', message)
    if (status === 403) return new GatewayError('forbidden', message)
    if (status === 404) return new GatewayError('not_found', message)
    return new GatewayError('homeserver_error', message)
  }
  if (error instanceof z.ZodError)
    return new GatewayError('homeserver_error', `the homeserver's answer to ${what} isn't what it should be`)
  const problem = causeOf(error)
  if (problem instanceof AnswerRefused) return new AnswerNotTaken(what, problem)
  return new GatewayError(
    'homeserver_unavailable',
    `the homeserver can't be reached to ${what} (${connectionProblem(problem)})`,
  )
}

/** The homeserver answered, with more than we take. */
export class AnswerNotTaken extends GatewayError {
  constructor(what: string, { message }: AnswerRefused) {
    super('homeserver_error', `the homeserver's answer to ${what} isn't taken: ${message}`)
  }
}

/** The SDK wraps what its `fetch` throws. */
function causeOf(error: unknown): unknown {
  return (error as ConnectionError | undefined)?.cause ?? error
}

/** Our own homeserver, which shares our disk, says so (RFC 4918 section 11.5). */
const INSUFFICIENT_STORAGE = 507

/** Where a homeserver doesn't say for how long it refuses, in milliseconds. */
const DEFAULT_RATE_LIMIT_MS = 5_000

/** Milliseconds to wait for a rate limit (client-server API, "Rate limiting"); null for others. */
export function rateLimitMs(error: unknown): number | null {
  if (!(error instanceof HTTPError)) return null
  if (error.httpStatus !== 429 && !isMatrixError(error, 'M_LIMIT_EXCEEDED')) return null
  // Deprecated in favour of the header, and still what homeservers send: the finer of both.
  const told = error instanceof MatrixError ? error.data?.retry_after_ms : undefined
  if (typeof told === 'number' && told >= 0) return told
  const seconds = Number(error.httpHeaders?.get('Retry-After') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : DEFAULT_RATE_LIMIT_MS
}

/** Codes that mean that the account can't be used as it stands. */
const ACCOUNT_REFUSALS = ['M_UNKNOWN_TOKEN', 'M_USER_LOCKED', 'M_USER_DEACTIVATED']

/** Reason why the access token was refused (also a soft logout); null for other errors. */
export function accountRefusal(error: unknown): string | null {
  return isMatrixError(error, ...ACCOUNT_REFUSALS) ? reasonOf(error) : null
}

export function isMatrixError(error: unknown, ...errcodes: string[]): error is MatrixError {
  return error instanceof MatrixError && errcodes.includes(error.errcode ?? '')
}

function reasonOf(error: MatrixError | HTTPError): string {
  const status = error.httpStatus ?? 0
  if (!(error instanceof MatrixError)) return `HTTP ${status}`
  return `${error.errcode ?? status}: ${error.data?.error ?? ''}`.trim()
}
