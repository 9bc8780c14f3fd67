/** One client of the QR WebSocket: what it is sent, and how it is bidden farewell. */
import type { ServerWebSocket } from 'bun'
import QRCode from 'qrcode'
import { messageOf } from '../../../domain/errors.ts'
import type { LinkEvent, LinkSubscription } from '../../../modules/linking/types.ts'
import type { QrFormat } from './model.ts'

/** What the server's WebSocket handlers call. */
export interface SocketViewer {
  open(socket: Pick<ServerWebSocket<unknown>, 'send' | 'close'>): void
  closed(): void
}

const END_CODES = { timeout: 4408, superseded: 4409, cancelled: 4410, failed: 4500 } as const

export function createQrViewer({
  follow,
  format,
}: {
  follow(listener: (event: LinkEvent) => void): LinkSubscription
  format: QrFormat
}): SocketViewer {
  let subscription: LinkSubscription | undefined
  let over = false
  // Pictures are drawn asynchronously; frames must leave in the order of their events all the same.
  let line = Promise.resolve()

  return {
    open(socket) {
      const show = (event: LinkEvent) => {
        line = line.then(async () => {
          if (over) return
          const frame = await render(event, format)
          if (over) return
          if (frame !== null) socket.send(frame)
          const end = endOf(event)
          if (end) finish(end.code, end.reason)
        }, undefined)
        line = line.catch(error => finish(1011, messageOf(error)))
      }
      const finish = (code: number, reason: string) => {
        if (over) return
        over = true
        subscription?.unsubscribe()
        socket.close(code, truncateUtf8(reason, MAX_REASON_BYTES))
      }
      try {
        subscription = follow(show)
      } catch (error) {
        finish(END_CODES.failed, messageOf(error))
        return
      }
      if (subscription.latest) show(subscription.latest)
    },
    closed() {
      over = true
      subscription?.unsubscribe()
    },
  }
}

/** @returns null when the format has nothing to say about the event */
async function render(event: LinkEvent, format: QrFormat): Promise<string | Uint8Array | null> {
  if (format === 'json') return JSON.stringify(event)
  if (event.type === 'code') return event.code
  if (event.type !== 'qr') return null
  switch (format) {
    case 'raw':
      return event.payload
    case 'png':
      return QRCode.toBuffer(event.payload, { type: 'png', scale: 8 })
    case 'svg':
      return QRCode.toString(event.payload, { type: 'svg' })
    case 'terminal':
      return QRCode.toString(event.payload, { type: 'terminal', small: true })
  }
}

function endOf(event: LinkEvent): { code: number; reason: string } | null {
  if (event.type === 'connected') return { code: 1000, reason: `connected: ${event.device_id}` }
  if (event.type === 'error') return { code: END_CODES[event.code], reason: event.message }
  return null
}

/** A close frame's payload is at most 125 bytes, two of which are the code (RFC 6455 section 5.5). */
const MAX_REASON_BYTES = 123

function truncateUtf8(text: string, maxBytes: number): string {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length <= maxBytes) return text
  // `stream` drops a character that was cut in two.
  return new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: true })
}
