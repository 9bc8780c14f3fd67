/** A homeserver in this process that answers as a test says, failures included. */
import type { PeerAddress } from '../../src/lib/peer-request.ts'

export interface StubRequest {
  method: string
  /** Decoded, without the query. */
  path: string
  query: URLSearchParams
  /** Without `Bearer `; null without a header. */
  token: string | null
  body: Record<string, unknown>
  text: string
  signal: AbortSignal
}

export interface HomeserverStub {
  address: PeerAddress
  requests: StubRequest[]
}

/** @param answer an object is answered as JSON with 200 */
export function homeserverStub(
  answer: (request: StubRequest) => Response | object | Promise<Response | object>,
): HomeserverStub {
  const requests: StubRequest[] = []
  return {
    requests,
    address: {
      baseUrl: 'http://homeserver.test',
      async fetch(request) {
        const url = new URL(request.url)
        const text = await request.text()
        const stubRequest: StubRequest = {
          method: request.method,
          path: decodeURIComponent(url.pathname),
          query: url.searchParams,
          token: request.headers.get('authorization')?.replace('Bearer ', '') ?? null,
          body: parsed(text),
          text,
          signal: request.signal,
        }
        requests.push(stubRequest)
        const answered = await answer(stubRequest)
        return answered instanceof Response ? answered : Response.json(answered)
      },
    },
  }
}

export function matrixError(
  status: number,
  errcode: string,
  more: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Response {
  return Response.json({ errcode, error: `the error of ${errcode}`, ...more }, { status, headers })
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
