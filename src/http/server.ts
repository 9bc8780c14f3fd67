/** The listening socket: TLS, limits, WebSockets, and a stop that lets running requests finish. */
import type { Server, ServerWebSocket } from 'bun'
import type { Config } from '../config/index.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { createClientAddress } from './client-address.ts'
import { errorResponse, HttpError } from './errors.ts'
import { newRequestId } from './request-id.ts'
import type { SocketViewer } from './routes/devices/qr-viewer.ts'
import { readTls } from './tls.ts'

export interface RunningServer {
  /** Where it listens, without a trailing slash. */
  readonly url: string
  readonly port: number
  upgrade: Upgrade
  /** Who sends a request, as far as the socket and the proxies that we trust tell. Undefined when the connection is gone. */
  addressOf(request: Request): string | undefined
  /**
   * Accepts nothing more, bids WebSockets farewell, and lets running requests finish.
   * @param graceMs after which what still runs is cut off
   * @returns whether everything finished in time
   */
  stop(graceMs: number): Promise<boolean>
}

/** Makes a WebSocket of a request. False when it is no handshake. */
export type Upgrade = (request: Request, viewer: SocketViewer) => boolean

export interface ServerOptions {
  config: Pick<Config, 'http'>
  handle(request: Request): Promise<Response>
  clock?: Clock
}

/** Longer than any long poll (30 s), so that Bun doesn't cut one off. */
const IDLE_TIMEOUT_S = 120
/**
 * As good as none: Bun answers a body beyond its limit by itself, without our error body. Routes and mounts say what is too large for them: they
 * read no more than they may (but for the transactions of the homeserver, which has shown its token), and what they don't read isn't buffered.
 */
const MAX_BODY_BYTES = Number.MAX_SAFE_INTEGER
/** The largest that a client of the QR WebSocket may have to say: the cookies of a web login. */
const MAX_FRAME_BYTES = 64 * 1024
const MAX_UNSENT_BYTES = 1024 * 1024
/** RFC 6455 section 7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001

export function startServer({ config, handle, clock = systemClock }: ServerOptions): RunningServer {
  const { tls, host, port } = config.http
  const clientAddress = createClientAddress(config.http.trustedProxies)
  const sockets = new Set<ServerWebSocket<SocketViewer>>()
  let stopping = false

  const server: Server<SocketViewer> = Bun.serve<SocketViewer>({
    hostname: host,
    port,
    development: false,
    // With `development: false` Bun would share the port with another process, and a second gateway would start beside the first.
    reusePort: false,
    idleTimeout: IDLE_TIMEOUT_S,
    maxRequestBodySize: MAX_BODY_BYTES,
    ...(tls ? { tls: readTls(tls) } : {}),
    fetch: request => (stopping ? refuse(request) : handle(request)),
    websocket: {
      maxPayloadLength: MAX_FRAME_BYTES,
      backpressureLimit: MAX_UNSENT_BYTES,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPings: true,
      perMessageDeflate: false,
      open(socket) {
        sockets.add(socket)
        socket.data.open(socket)
      },
      message(socket, frame) {
        socket.data.message(frame)
      },
      close(socket) {
        sockets.delete(socket)
        socket.data.closed()
      },
    },
  })

  return {
    url: server.url.origin,
    port: server.port ?? port,
    addressOf(request) {
      const socket = server.requestIP(request)
      return socket === null
        ? undefined
        : clientAddress(socket.address, request.headers.get('x-forwarded-for'))
    },
    upgrade: (request, viewer) => server.upgrade(request, { data: viewer }),
    async stop(graceMs) {
      stopping = true
      for (const socket of sockets) socket.close(GOING_AWAY, 'the gateway is stopping')
      const waiting = new AbortController()
      const finished = server.stop(false).then(() => true)
      const timedOut = clock.sleep(graceMs, waiting.signal).then(() => false)
      const inTime = await Promise.race([finished, timedOut])
      waiting.abort()
      await server.stop(true)
      return inTime
    },
  }
}

/** On a connection that was open already. */
function refuse(request: Request): Response {
  const error = new HttpError(503, 'shutting_down', 'The gateway is stopping', {
    Connection: 'close',
    'Retry-After': '5',
  })
  return errorResponse(error, newRequestId(request))
}
