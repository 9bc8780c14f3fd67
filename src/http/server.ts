/** The listening socket: TLS, limits, WebSockets, and a stop that lets running requests finish. */
import type { Server, ServerWebSocket } from 'bun'
import type { Config } from '../config/index.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { errorResponse, HttpError } from './error-answers.ts'
import { createPipeliningGuard, MAX_PIPELINED } from './pipelining.ts'
import { everyRawPath } from './raw-path.ts'
import { newRequestId } from './request-id.ts'
import { noteRequest } from './request-notes.ts'
import type { SocketViewer } from './routes/devices/qr-viewer.ts'
import { type CertificateDescription, describeCertificate, readTls } from './tls.ts'

export interface RunningServer {
  /** Where it listens, without a trailing slash. */
  readonly url: string
  readonly port: number
  upgrade: Upgrade
  uploading: Uploading
  /**
   * Reads the certificate and its key anew. Open connections keep the old one until they end.
   * @returns what is served from now on; null without TLS
   * @throws StartError when the files can't be used, or Error when it can't listen; all is then as
   * it was
   */
  reloadCertificate(): CertificateDescription | null
  /**
   * Takes on nothing more, closes WebSockets, and lets running requests finish. Until they have,
   * other requests are told that the gateway is stopping, and probes are answered.
   * @param graceMs after which running requests are cut off
   * @returns whether everything finished in time
   */
  stop(graceMs: number): Promise<boolean>
}

/** Makes a WebSocket of a request. False when it is no handshake. */
export type Upgrade = (request: Request, viewer: SocketViewer) => boolean

/** Is told how much of an upload has come in: one that goes on at a fair rate may take its time. */
export type Uploading = (request: Request, receivedBytes: number) => void

export interface ServerOptions {
  config: { http: Pick<Config['http'], 'host' | 'port' | 'tls'> }
  handle(request: Request): Promise<Response>
  /** Tells if a request is answered also while the server stops. */
  isProbe(request: Request): boolean
  /** Is told of each connection that is closed since it asked for too much at once. */
  onPipelined?: (() => void) | undefined
  /** By default longer than any long poll. */
  idleTimeoutS?: number | undefined
  clock?: Clock
}

/**
 * Longer than any long poll (30 s), so that Bun doesn't cut one off. Bun counts it from the start
 * of a connection or request, and bytes that trickle in don't prolong it: so a slow client
 * (slowloris) gets no more either.
 */
const IDLE_TIMEOUT_S = 120
/**
 * Bun pings a silent WebSocket 16 s before this, as many proxies cut at 60 s, and drops a client
 * that doesn't answer by then.
 */
const SOCKET_TIMEOUT_S = 36
/** Minimum upload rate; a faster upload may take any time. */
const MIN_UPLOAD_BYTES_PER_S = 8 * 1024
/**
 * As good as none: Bun would answer a larger body itself, without our error body. Routes and mounts
 * have their own limits and read no more (but for transactions of the homeserver, which has shown
 * its token); what they don't read isn't buffered.
 */
const MAX_BODY_BYTES = Number.MAX_SAFE_INTEGER
/** The largest that a client of the QR WebSocket may have to say: the cookies of a web login. */
const MAX_FRAME_BYTES = 64 * 1024
const MAX_UNSENT_BYTES = 1024 * 1024
/** RFC 6455 section 7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001

export function startServer(options: ServerOptions): RunningServer {
  const { config, handle, isProbe, idleTimeoutS = IDLE_TIMEOUT_S, clock = systemClock } = options
  const { tls, host } = config.http
  const isTooMuchAtOnce = createPipeliningGuard()
  const sockets = new Set<ServerWebSocket<SocketViewer>>()
  let stopping = false
  /** Requests that aren't answered yet, probes apart. */
  let underWay = 0
  const allAnswered = Promise.withResolvers<void>()
  /** Since when each upload is coming in, in milliseconds. */
  const uploads = new WeakMap<Request, number>()
  /**
   * Servers from before the certificate was changed: Bun wants a request to be handled where it
   * came in.
   */
  const cameInAt = new WeakMap<Request, Server<SocketViewer>>()
  /** Finish when their last connection is closed. */
  const retired = new Map<Server<SocketViewer>, Promise<void>>()

  const listen = (
    port: number,
    certificate: ReturnType<typeof readTls> | undefined,
    { shared }: { shared: boolean },
  ): Server<SocketViewer> =>
    Bun.serve<SocketViewer>({
      hostname: host,
      port,
      development: false,
      // With `development: false` Bun would share the port with a second gateway.
      reusePort: shared,
      idleTimeout: idleTimeoutS,
      maxRequestBodySize: MAX_BODY_BYTES,
      ...(certificate ? { tls: certificate } : {}),
      routes: everyRawPath(respond),
      fetch: respond,
      websocket: {
        maxPayloadLength: MAX_FRAME_BYTES,
        backpressureLimit: MAX_UNSENT_BYTES,
        closeOnBackpressureLimit: true,
        idleTimeout: SOCKET_TIMEOUT_S,
        sendPings: true,
        perMessageDeflate: false,
        open(socket) {
          sockets.add(socket)
          socket.data.open(socket)
        },
        message(socket, frame) {
          socket.data.message(frame)
        },
        ping(socket) {
          socket.data.sign()
        },
        pong(socket) {
          socket.data.sign()
        },
        close(socket) {
          sockets.delete(socket)
          socket.data.closed()
        },
      },
    })

  function respond(request: Request, own: Server<SocketViewer>): Response | Promise<Response> {
    const client = own.requestIP(request)
    // A client that is gone has none, and Bun drops the rest of its requests.
    if (client) {
      if (isTooMuchAtOnce(client)) {
        options.onPipelined?.()
        return refusePipelined(request)
      }
      noteRequest(request, { socketAddress: client.address })
    }
    if (own !== current) cameInAt.set(request, own)
    if (isProbe(request)) return handle(request)
    return stopping ? refuse(request) : counted(request)
  }

  async function counted(request: Request): Promise<Response> {
    underWay += 1
    try {
      return await handle(request)
    } finally {
      underWay -= 1
      if (stopping && underWay === 0) allAnswered.resolve()
    }
  }

  const certificate = tls && readTls(tls)
  const first = listen(config.http.port, certificate, { shared: false })
  const { origin } = first.url
  const port = first.port ?? config.http.port
  let current = first
  if (tls) {
    // A certificate is changed by listening anew, so the port is shared with ourselves once it is
    // known to be nobody else's.
    void first.stop(true)
    current = listen(port, certificate, { shared: true })
  }
  const serverOf = (request: Request) => cameInAt.get(request) ?? current

  return {
    url: origin,
    port,
    upgrade: (request, viewer) => serverOf(request).upgrade(request, { data: viewer }),
    uploading(request, receivedBytes) {
      const now = performance.now()
      const since = uploads.get(request)
      if (since === undefined) uploads.set(request, now)
      else if (receivedBytes < ((now - since) / 1_000) * MIN_UPLOAD_BYTES_PER_S) return
      serverOf(request).timeout(request, idleTimeoutS)
    },
    reloadCertificate() {
      if (!tls) return null
      const certificate = readTls(tls)
      const old = current
      current = listen(port, certificate, { shared: true })
      retired.set(
        old,
        old.stop(false).then(() => {
          retired.delete(old)
        }),
      )
      return describeCertificate(certificate.cert)
    },
    async stop(graceMs) {
      stopping = true
      for (const socket of sockets) socket.close(GOING_AWAY, 'the gateway is stopping')
      if (underWay === 0) allAnswered.resolve()
      const waiting = new AbortController()
      const timedOut = clock.sleep(graceMs, waiting.signal).then(() => false)
      // Answers may still be on their way out, files above all: those the servers wait for.
      await Promise.race([allAnswered.promise, timedOut])
      const servers = [...retired.keys(), current]
      const finished = Promise.all(servers.map(server => server.stop(false))).then(() => true)
      const inTime = await Promise.race([finished, timedOut])
      waiting.abort()
      await Promise.all(servers.map(server => server.stop(true)))
      return inTime
    },
  }
}

function refusePipelined(request: Request): Response {
  const error = new HttpError(
    'too_many_requests',
    `A connection may have ${MAX_PIPELINED} requests under way at once. This one and those behind it were not looked at`,
    { Connection: 'close', 'Retry-After': '1' },
  )
  return errorResponse(error, newRequestId(request))
}

/** On a connection that was open already. */
function refuse(request: Request): Response {
  const error = new HttpError('shutting_down', 'The gateway is stopping', {
    Connection: 'close',
    'Retry-After': '5',
  })
  return errorResponse(error, newRequestId(request))
}
