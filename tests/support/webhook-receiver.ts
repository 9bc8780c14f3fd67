/** An endpoint that records its requests: `await using receiver = webhookReceiver()`. */
import { waitFor } from './wait-for.ts'

export interface ReceivedRequest {
  method: string
  path: string
  headers: Headers
  text: string
  /** The parsed body, undefined when it isn't JSON. */
  json: unknown
  receivedAt: number
}

export interface WebhookReceiver extends AsyncDisposable {
  url: string
  received: ReceivedRequest[]
  /** @returns all requests, once there are `count`. @throws Error at the deadline */
  waitForCount(count: number, deadlineMs?: number): Promise<ReceivedRequest[]>
}

/** @param answer to each request, 200 by default; it may be slow */
export function webhookReceiver(
  answer: (request: ReceivedRequest, index: number) => Response | Promise<Response> = () =>
    new Response('ok'),
): WebhookReceiver {
  const received: ReceivedRequest[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const text = await request.text()
      const { pathname, search } = new URL(request.url)
      const entry: ReceivedRequest = {
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        text,
        json: parsed(text),
        receivedAt: performance.now(),
      }
      return answer(entry, received.push(entry) - 1)
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    received,
    waitForCount: async (count, deadlineMs = 10_000) => {
      await waitFor(() => received.length >= count, {
        what: `${count} webhook requests`,
        deadlineMs,
      })
      return received
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
