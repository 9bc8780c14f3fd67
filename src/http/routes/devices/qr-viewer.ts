/** Serves one client of the QR WebSocket: frames to it, frames from it, and its end. */
import type { ServerWebSocket } from 'bun'
import QRCode from 'qrcode'
import { type ErrorCode, GatewayError, messageOf } from '../../../domain/errors.ts'
import type { LinkEnd, LinkEvent } from '../../../domain/views/link.ts'
import type { Clock } from '../../../lib/clock.ts'
import { KeyedMutex } from '../../../lib/keyed-mutex.ts'
import type { LinkSubscription } from '../../../modules/devices/linking.ts'
import { parseLinkFrame } from './link-frames.ts'
import type { QrFormat } from './model.ts'
import { pngOf, svgOf } from './qr-picture.ts'

/** The server's WebSocket handlers call it. */
export interface SocketViewer {
  open(socket: Pick<ServerWebSocket<unknown>, 'send' | 'close'>): void
  message(frame: string | Uint8Array): void
  /** The client pings, or answers a ping. */
  sign(): void
  closed(): void
}

export interface QrViewerOptions {
  /**
   * Counts the socket among those of its identity, until what it returns is called.
   * @throws GatewayError too_many_requests
   */
  admit(): () => void
  follow(listener: (event: LinkEvent) => void): LinkSubscription
  /** Gives what the link asks for. @throws GatewayError */
  answer(linkId: string, fields: Record<string, string>): Promise<unknown>
  /** @throws GatewayError */
  cancel(linkId: string): void
  /** @throws GatewayError forbidden when the token that opened the socket is no longer good */
  readmit(): Promise<unknown>
  format: QrFormat
  clock: Clock
}

const END_CODES: Record<LinkEnd, number> = { timeout: 4408, superseded: 4409, cancelled: 4410, failed: 4500 }
const TOKEN_GONE = 4403
const TOO_MANY = 4429
const REFUSAL_CODES: Partial<Record<ErrorCode, number>> = { not_found: 4404, too_many_requests: TOO_MANY }
/**
 * Frames that a client may send in `FRAMES_MS`, and that may wait for their answers: far more than
 * anybody types.
 */
const MAX_FRAMES = 20
const FRAMES_MS = 10_000
/** The token is checked as often, as it may be deleted or expire while the socket is open. */
const READMIT_MS = 2_000

export function createQrViewer(options: QrViewerOptions): SocketViewer {
  const { format, clock } = options
  const over = new AbortController()
  let socket: Pick<ServerWebSocket<unknown>, 'send' | 'close'> | undefined
  let subscription: LinkSubscription | undefined
  let giveUpPlace: (() => void) | undefined
  // Pictures are drawn asynchronously; frames must leave in the order of their events all the same.
  let line = Promise.resolve()
  const mutex = new KeyedMutex()
  let unanswered = 0
  /** When the frames of the last `FRAMES_MS` came. */
  let arrivals: number[] = []

  function finish(code: number, reason: string): void {
    if (over.signal.aborted) return
    leave()
    socket?.close(code, truncateUtf8(reason, MAX_REASON_BYTES))
  }

  function leave(): void {
    over.abort()
    subscription?.unsubscribe()
    giveUpPlace?.()
  }

  /** Sends what `draw` makes, after all that was to be sent before. */
  function queue(draw: () => Promise<string | Uint8Array | null>, andThen?: () => void): void {
    line = line
      .then(async () => {
        if (over.signal.aborted) return
        const frame = await draw()
        if (over.signal.aborted) return
        if (frame !== null) socket?.send(frame)
        andThen?.()
      })
      .catch(error => finish(1011, messageOf(error)))
  }

  function show(event: LinkEvent): void {
    const end = endOf(event)
    queue(
      () => render(event, format),
      () => end && finish(end.code, end.reason),
    )
  }

  /** Whatever the format, who sends JSON understands JSON. */
  function showFailure(error: unknown): void {
    const code = error instanceof GatewayError ? error.code : 'internal_error'
    const message = error instanceof GatewayError ? error.message : 'Internal error'
    queue(async () => JSON.stringify({ type: 'error', code, message }))
  }

  /** @returns false when the client has sent too much, and is let go */
  function mayGoOn(): boolean {
    if (over.signal.aborted) return false
    const now = clock.steady()
    arrivals = arrivals.filter(at => now - at < FRAMES_MS)
    arrivals.push(now)
    if (arrivals.length <= MAX_FRAMES && unanswered < MAX_FRAMES) return true
    finish(TOO_MANY, `more than ${MAX_FRAMES} frames in ${FRAMES_MS / 1_000} s`)
    return false
  }

  /**
   * Gives answers to the bridge one at a time. A cancellation waits for none of them: the bridge
   * may be the one that takes too long.
   */
  async function obey(frame: string | Uint8Array, linkId: string): Promise<void> {
    const said = parseLinkFrame(frame)
    if (said.type === 'cancel') options.cancel(linkId)
    else await mutex.run(linkId, async () => over.signal.aborted || options.answer(linkId, said.fields))
  }

  /**
   * Refuses with a frame, as a browser's WebSocket client sees frames and how it is closed, but no
   * HTTP answer.
   */
  function refuse(error: unknown): void {
    const code = error instanceof GatewayError ? REFUSAL_CODES[error.code] : undefined
    if (format === 'json') showFailure(error)
    queue(
      async () => (format === 'terminal' ? `Not linked: ${messageOf(error)}\n` : null),
      () => finish(code ?? END_CODES.failed, messageOf(error)),
    )
  }

  async function watchToken(): Promise<void> {
    for (;;) {
      await clock.sleep(READMIT_MS, over.signal)
      if (over.signal.aborted) return
      try {
        await options.readmit()
      } catch (error) {
        // Nothing else is the token's fault: a database that is busy, say.
        if (error instanceof GatewayError && error.code === 'forbidden') finish(TOKEN_GONE, error.message)
      }
    }
  }

  return {
    open(opened) {
      socket = opened
      try {
        giveUpPlace = options.admit()
        subscription = options.follow(show)
      } catch (error) {
        refuse(error)
        return
      }
      if (subscription.latest) show(subscription.latest)
      void watchToken()
    },
    message(frame) {
      if (!mayGoOn() || !subscription) return
      unanswered += 1
      void obey(frame, subscription.linkId)
        .catch(showFailure)
        .finally(() => {
          unanswered -= 1
        })
    },
    sign: () => void mayGoOn(),
    closed: leave,
  }
}

/** @returns null when the format has nothing to say about the event */
async function render(event: LinkEvent, format: QrFormat): Promise<string | Uint8Array | null> {
  if (format === 'json') return JSON.stringify(event)
  if (format === 'terminal') return `${await inTerminal(event)}\n`
  if (event.type === 'code') return event.code
  if (event.type === 'emoji') return event.emoji
  if (event.type !== 'qr') return null
  switch (format) {
    case 'raw':
      return event.payload
    case 'png':
      return pngOf(event.payload)
    case 'svg':
      return svgOf(event.payload)
  }
}

/**
 * Tells a person who reads along how the link ends, too, as clients don't show why a socket was
 * closed.
 */
async function inTerminal(event: LinkEvent): Promise<string> {
  switch (event.type) {
    case 'qr':
      return QRCode.toString(event.payload, { type: 'terminal', small: true })
    case 'code':
      return event.code
    case 'emoji':
      return event.emoji
    case 'connected':
      return `Linked: ${event.platform} ${event.device_id}${event.name ? ` (${event.name})` : ''}`
    case 'error':
      return `Not linked: ${event.message}`
    default:
      return event.instructions || `Waiting for your answer: ${JSON.stringify(event)}`
  }
}

function endOf(event: LinkEvent): { code: number; reason: string } | null {
  if (event.type === 'connected') return { code: 1000, reason: `connected: ${event.device_id}` }
  if (event.type === 'error') return { code: END_CODES[event.code], reason: event.message }
  return null
}

/**
 * A close frame's payload is at most 125 bytes, two of which are the code (RFC 6455 section 5.5).
 */
const MAX_REASON_BYTES = 123

function truncateUtf8(text: string, maxBytes: number): string {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length <= maxBytes) return text
  // `stream` drops a character that was cut in two.
  return new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: true })
}
