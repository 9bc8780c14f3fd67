/** /sandbox/api/events: sends changes to the page as server-sent events. */
import type { Network, NetworkChange } from '../network/network.ts'

/** Changes within this time are sent together. */
const BATCH_MS = 40
/** Regular comment lines keep idle connections open and reveal closed ones. */
const KEEPALIVE_MS = 25_000

export type EventStream = ReturnType<typeof createEventStream>

export function createEventStream(network: Network) {
  const encoder = new TextEncoder()
  const clients = new Set<ReadableStreamDefaultController<Uint8Array>>()
  let phones = new Set<string>()
  let directory = false
  let flushing: ReturnType<typeof setTimeout> | null = null
  let keepalive: ReturnType<typeof setInterval> | null = null

  const unsubscribe = network.subscribe(change => {
    if (clients.size === 0) return
    note(change)
    flushing ??= setTimeout(flush, BATCH_MS)
  })

  function note(change: NetworkChange): void {
    if (change.kind === 'posted') for (const phone of change.posted.chat.members) phones.add(phone)
    else if (change.kind === 'delivered') for (const phone of change.phones) phones.add(phone)
    else if (change.kind === 'typing') for (const phone of change.chat.members) phones.add(phone)
    else directory = true
  }

  function flush(): void {
    flushing = null
    send(`data: ${JSON.stringify({ phones: [...phones], directory })}\n\n`)
    phones = new Set()
    directory = false
  }

  function send(text: string): void {
    const bytes = encoder.encode(text)
    for (const client of clients) {
      try {
        client.enqueue(bytes)
      } catch {
        drop(client)
      }
    }
  }

  function drop(client: ReadableStreamDefaultController<Uint8Array>): void {
    clients.delete(client)
    if (clients.size > 0 || keepalive === null) return
    clearInterval(keepalive)
    keepalive = null
  }

  return {
    open(request: Request): Response {
      let own: ReadableStreamDefaultController<Uint8Array> | null = null
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          own = controller
          clients.add(controller)
          keepalive ??= setInterval(() => send(': still here\n\n'), KEEPALIVE_MS)
          controller.enqueue(encoder.encode('retry: 1000\n\n'))
        },
        cancel() {
          if (own) drop(own)
        },
      })
      request.signal.addEventListener('abort', () => own && drop(own), { once: true })
      return new Response(body, {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        },
      })
    },
    stop(): void {
      unsubscribe()
      if (flushing !== null) clearTimeout(flushing)
      for (const client of [...clients]) {
        drop(client)
        try {
          client.close()
        } catch {
          // The client has already gone.
        }
      }
    },
  }
}
