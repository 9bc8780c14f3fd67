/**
 * The HTTP application: every route, and what is common to all of them.
 * `createHttp({ config, services, mounts?, logger, version, readiness })`
 * → `{ handle(request), listen(), listenForBridges(at) }`
 */
import { Elysia } from 'elysia'
import type { Config } from '../config/index.ts'
import { GatewayError } from '../domain/errors.ts'
import type { Observer } from '../domain/observation.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createAccessLog, isProbe } from './access-log.ts'
import { anyHostAdapter } from './any-host-adapter.ts'
import { createAuthAttempts, guardAuthentication } from './auth-attempts.ts'
import { framingProblem } from './body.ts'
import { createClientAddress } from './client-address.ts'
import { type Cors, createCors } from './cors.ts'
import { errorResponse, HttpError, httpErrorOf } from './error-answers.ts'
import { createHostCheck } from './host-check.ts'
import { createInFlight } from './in-flight.ts'
import { countAnswer, LargeAnswers } from './large-answers.ts'
import { createMountAnswers } from './mount-answers.ts'
import { createMountTable, type Mount } from './mounts.ts'
import { createOperatorAccess, type OperatorAccess } from './operator-access.ts'
import { createOriginCheck } from './origin-check.ts'
import { answerOnce } from './plugins/idempotency.ts'
import { errors } from './plugins/thrown-errors.ts'
import { pathProblem } from './raw-path.ts'
import { newRequestId, REQUEST_ID_HEADER } from './request-id.ts'
import { noteRequest, notesOf } from './request-notes.ts'
import { pathStart } from './request-path.ts'
import { BODILESS, readRest, wantsClose } from './rest-of-body.ts'
import { createMethodTable } from './route-tables.ts'
import { docsRoutes } from './routes/docs/routes.ts'
import { apiRoutes } from './routes/index.ts'
import { LinkTickets } from './routes/pages/link-tickets.ts'
import { pageRoutes } from './routes/pages/routes.ts'
import { addRoutes } from './routing.ts'
import { addMissing, securityHeaders } from './security-headers.ts'
import { type RunningServer, startServer, type Upgrade, type Uploading } from './server.ts'
import type { HttpServices, Readiness } from './services.ts'

export interface HttpOptions {
  config: Pick<Config, 'mode' | 'http' | 'media' | 'logLevel' | 'authFailures'>
  services: HttpServices
  mounts?: readonly Mount[]
  /** Endpoints for bridges and homeservers, on a listener that serves nothing else. */
  bridgeMounts?: readonly Mount[]
  logger: Logger
  version: string
  /** Memory that requests under way may take together, in bytes. */
  maxBytesInFlight?: number
  /** How long a body that isn't an upload may take to come in, in milliseconds. */
  bodyMs?: number
  readiness: () => Readiness | Promise<Readiness>
  /** Everything in Prometheus's text format. */
  metrics?: () => Promise<string>
  metricsToken?: string | undefined
  observer?: Pick<Observer, 'requestAnswered' | 'requestRefused' | 'authenticationFailed'>
  clock?: Clock
  /** How long a connection may be idle, and headers or a body may take to come in. */
  idleTimeoutS?: number
}

export interface Http {
  /** Answers a request as the server does, but for WebSockets. It never rejects. */
  handle(request: Request): Promise<Response>
  /**
   * Listens where the configuration says.
   * @throws Error when the port is taken or the certificate can't be read
   */
  listen(): RunningServer
  /** Listens for bridges and homeservers, without TLS. @throws Error when the port is taken */
  listenForBridges(at: { host: string; port: number }): RunningServer
}

export function createHttp(options: HttpOptions): Http {
  const { config, logger, observer, clock = systemClock } = options
  const mountFor = createMountTable(options.mounts ?? [])
  const bridgeMountFor = createMountTable(options.bridgeMounts ?? [])
  const logAccess = createAccessLog(logger, config.logLevel, clock)
  let running: RunningServer | undefined
  const clientAddress = createClientAddress(config.http.trustedProxies)
  /** Tells who sends a request; undefined when the connection is gone. */
  const addressOf = (request: Request) => {
    const { socketAddress } = notesOf(request)
    return socketAddress && clientAddress(socketAddress, request.headers.get('x-forwarded-for'))
  }
  const upgrade: Upgrade = (request, viewer) => {
    const upgraded = running?.upgrade(request, viewer) ?? false
    if (upgraded) noteRequest(request, { upgraded })
    return upgraded
  }
  const { publicUrl, tls, corsOrigins } = config.http
  const cors = corsOrigins.length > 0 ? createCors(corsOrigins) : undefined
  const headers = securityHeaders(tls !== undefined || publicUrl?.startsWith('https:') === true)
  const attempts = createAuthAttempts({
    limits: config.authFailures,
    addressOf,
    onFailed: kind => observer?.authenticationFailed(kind),
    clock,
    logger,
  })
  const answerMount = createMountAnswers({ publicUrl, attempts, headers, logger })
  const hostProblem = createHostCheck(config)
  const inFlight = createInFlight({ maxBytes: options.maxBytesInFlight, bodyMs: options.bodyMs })
  const largeAnswers = new LargeAnswers()
  const elysia = createElysia(options, {
    services: guardAuthentication(options.services, attempts),
    upgrade,
    uploading: (request, bytes) => running?.uploading(request, bytes),
    headers,
    allowsOrigin: createOriginCheck(publicUrl, cors),
    operators: createOperatorAccess({
      token: options.metricsToken,
      isProduction: config.mode === 'production',
      addressOf,
      attempts,
    }),
  })

  const handle = (request: Request) => observed(request, mountFor(request.url), answerClient)

  async function observed(
    request: Request,
    mount: Mount | undefined,
    answer: (request: Request, mount: Mount | undefined) => Response | Promise<Response>,
  ): Promise<Response> {
    const startedAt = performance.now()
    const problem = pathProblem(request)
    const response = problem === null ? await answer(request, mount) : refusal(pathError(problem), request)
    const tookMs = performance.now() - startedAt
    const { route = 'none', refusal: reason = 'limit', upgraded } = notesOf(request)
    const status = upgraded ? SWITCHING_PROTOCOLS : response.status
    logAccess(request, response, { status, ms: tookMs, isMount: mount !== undefined })
    if (status === TOO_MANY_REQUESTS) observer?.requestRefused(reason)
    observer?.requestAnswered({
      method: METHODS.has(request.method) ? request.method : 'other',
      route: mount ? `${mount.prefix}/*` : route,
      status,
      tookMs,
    })
    if (!BODILESS.has(request.method) && wantsClose(request)) await readRest(request, clock)
    return response
  }

  function answerClient(request: Request, mount: Mount | undefined): Response | Promise<Response> {
    const problem = mount?.anyHost ? null : hostProblem(request)
    if (problem) return refusal(problem, request)
    return mount ? answerMount(mount, request) : answerApi(request)
  }

  function answerBridge(request: Request, mount: Mount | undefined): Response | Promise<Response> {
    if (mount) return answerMount(mount, request)
    const error = new GatewayError('not_found', 'There is nothing here but for bridges and homeservers')
    return refusal(httpErrorOf(error), request)
  }

  /** CORS is for the API: nobody else's page has anything to ask of the mounts. */
  function answerApi(request: Request): Response | Promise<Response> {
    return cors ? answerOpened(cors, request) : answerRoute(request)
  }

  async function answerOpened(cors: Cors, request: Request): Promise<Response> {
    const preflight = cors.preflight(request)
    if (preflight) return addMissing(preflight, headers)
    const response = await answerRoute(request)
    cors.open(request, response)
    return response
  }

  function answerRoute(request: Request): Response | Promise<Response> {
    if (!BODILESS.has(request.method)) return answerInFlight(request)
    countAnswer(request, largeAnswers)
    return elysia.fetch(request)
  }

  async function answerInFlight(request: Request): Promise<Response> {
    const problem = framingProblem(request)
    if (problem) return refusal(httpErrorOf(problem), request)
    try {
      const once = () => answerOnce(options.services.idempotency, request, elysia.fetch)
      return await inFlight.within(request, once)
    } catch (error) {
      // Elysia has an answer to everything: this is a request that it wasn't given.
      if (!(error instanceof HttpError)) throw error
      return refusal(error, request)
    }
  }

  /** Answers a request that Elysia doesn't get. */
  function refusal(error: HttpError, request: Request): Response {
    const requestId = newRequestId(request)
    const response = errorResponse(error, requestId)
    response.headers.set(REQUEST_ID_HEADER, requestId)
    return addMissing(response, headers)
  }

  return {
    handle,
    listen() {
      running = startServer({
        config,
        handle,
        isProbe: request => isProbe(request.url),
        onPipelined: () => observer?.requestRefused('pipelining'),
        idleTimeoutS: options.idleTimeoutS,
      })
      return running
    },
    listenForBridges({ host, port }) {
      return startServer({
        config: { http: { host, port, tls: undefined } },
        handle: request => observed(request, bridgeMountFor(request.url), answerBridge),
        isProbe: () => false,
        onPipelined: () => observer?.requestRefused('pipelining'),
        idleTimeoutS: options.idleTimeoutS,
      })
    },
  }
}

function pathError(problem: string): HttpError {
  return httpErrorOf(new GatewayError('bad_request', `The path of the address has ${problem}`))
}

const SWITCHING_PROTOCOLS = 101
const TOO_MANY_REQUESTS = 429

/** Anybody can make up others, and each would be a series of its own in the metrics. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

interface ElysiaParts {
  services: HttpServices
  upgrade: Upgrade
  uploading: Uploading
  headers: Record<string, string>
  allowsOrigin(request: Request): boolean
  operators: OperatorAccess
}

function createElysia(options: HttpOptions, parts: ElysiaParts) {
  const { config, logger, version, readiness, metrics = async () => '', clock = systemClock } = options
  const { headers, ...used } = parts
  const tickets = new LinkTickets(used.services.linking)
  const app = new Elysia({ aot: true, adapter: anyHostAdapter })
    .headers(headers)
    .onRequest(({ request, set }) => {
      set.headers[REQUEST_ID_HEADER] = newRequestId(request)
      refuseMalformedEncoding(request.url)
    })
    // Before any other hook of a route: a caller who isn't let in has a route, too.
    .onTransform(({ request, route }) => noteRequest(request, { route }))
    .use(errors(logger, path => methodsOf(path)))
    .use(docsRoutes(version))
    .use(
      pageRoutes({
        ...used.services,
        tickets,
        version,
        hasSandbox: options.mounts?.some(({ prefix }) => prefix === '/sandbox') === true,
        frameOrigins: config.http.linkFrameOrigins,
        clock,
      }),
    )
  const { publicUrl } = config.http
  addRoutes(
    app,
    apiRoutes({ ...used, tickets, publicUrl, version, readiness, metrics, clock, logger }),
    used.services,
  )
  const methodsOf = createMethodTable(app.routes)
  return app
}

/**
 * Elysia makes null of a path parameter that isn't percent-encoded UTF-8, and leaves such a query
 * as it is.
 */
function refuseMalformedEncoding(url: string): void {
  if (!url.includes('%')) return
  const query = url.indexOf('?')
  const end = query === -1 ? url.length : query
  for (const [part, text] of [
    ['path', url.slice(pathStart(url), end)],
    ['query', url.slice(end)],
  ] as const) {
    try {
      decodeURIComponent(text)
    } catch {
      throw new GatewayError('bad_request', `The ${part} of the address is not valid percent-encoded UTF-8`)
    }
  }
}
