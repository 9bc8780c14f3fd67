/**
 * matrix-js-sdk as our typed HTTP client. Only its HTTP layer is loaded: the whole SDK costs 17 MB more memory and 150 ms more at every
 * start, for a client-side store, timeline and crypto that a gateway doesn't use.
 */
import {
  type ConnectionError,
  HTTPError,
  type IHttpOpts,
  MatrixError,
  MatrixHttpApi,
} from 'matrix-js-sdk/lib/http-api/index.js'
import { TypedEventEmitter } from 'matrix-js-sdk/lib/models/typed-event-emitter.js'
import { GatewayError, messageOf } from '../domain/errors.ts'

/** Answers requests: the network's fetch, or the embedded homeserver in the same process. */
export type FetchLike = (request: Request) => Promise<Response>

export interface HomeserverAddress {
  /** Base URL without a trailing slash; any host when `fetch` is in-process. */
  baseUrl: string
  /** How requests get there; the network by default. */
  fetch?: FetchLike | undefined
}

export type HttpApi = MatrixHttpApi<IHttpOpts & { onlyData: true }>

/** A request to a homeserver over the network is given up after this many milliseconds. */
const TIMEOUT_MS = 30_000

const noLog = () => undefined
const silent: NonNullable<IHttpOpts['logger']> = {
  trace: noLog,
  debug: noLog,
  info: noLog,
  warn: noLog,
  error: noLog,
  getChild: () => silent,
}

/** @param accessToken a user's, or an application service's as_token (then pass `user_id` with each request) */
export function createHttpApi(address: HomeserverAddress, accessToken: string): HttpApi {
  const { fetch: inProcess } = address
  return new MatrixHttpApi(new TypedEventEmitter(), {
    baseUrl: address.baseUrl,
    prefix: '/_matrix/client/v3',
    accessToken,
    useAuthorizationHeader: true,
    onlyData: true,
    logger: silent,
    // A call within the process can't get lost, so it needs no timer.
    ...(inProcess
      ? {
          fetchFn: ((input: string | URL, init?: RequestInit) =>
            inProcess(new Request(String(input), init))) as typeof fetch,
        }
      : { localTimeoutMs: TIMEOUT_MS }),
  })
}

/** What a Matrix call threw, as the failure our callers know. `what` says what was tried: "send the message". */
export function asGatewayError(error: unknown, what: string): GatewayError {
  if (error instanceof GatewayError) return error
  if (error instanceof MatrixError || error instanceof HTTPError) {
    const status = error.httpStatus ?? 0
    const reason =
      error instanceof MatrixError
        ? `${error.errcode ?? status}: ${error.data?.error ?? ''}`
        : `HTTP ${status}`
    const message = `the homeserver refused to ${what} (${reason.trim()})`
    if (status === 429) return new GatewayError('homeserver_unavailable', message, retryAfterS(error))
    if (status >= 500) return new GatewayError('homeserver_unavailable', message)
    if (status === 403) return new GatewayError('forbidden', message)
    if (status === 404) return new GatewayError('not_found', message)
    return new GatewayError('homeserver_error', message)
  }
  const cause = (error as ConnectionError | undefined)?.cause
  return new GatewayError(
    'homeserver_unavailable',
    `the homeserver can't be reached to ${what} (${messageOf(cause ?? error)})`,
  )
}

function retryAfterS(error: MatrixError | HTTPError): number {
  const milliseconds = error instanceof MatrixError ? error.data?.retry_after_ms : undefined
  return typeof milliseconds === 'number' ? Math.ceil(milliseconds / 1000) : 5
}
