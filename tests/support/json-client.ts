/** Calls a JSON API and returns the whole answer; checks the gateway's against its document. */
import { expectDocumented } from './documented.ts'

export interface Answer<T = unknown> {
  status: number
  headers: Headers
  /** The parsed JSON; the text when it isn't JSON. */
  body: T
}

export interface JsonClient {
  get<T = unknown>(path: string): Promise<Answer<T>>
  post<T = unknown>(path: string, body?: unknown): Promise<Answer<T>>
  put<T = unknown>(path: string, body?: unknown): Promise<Answer<T>>
  patch<T = unknown>(path: string, body?: unknown): Promise<Answer<T>>
  delete<T = unknown>(path: string, body?: unknown): Promise<Answer<T>>
}

/** A running server's fetch, or an application's own handler. */
export type Handler = (request: Request) => Response | Promise<Response>

export const basic = (clientId: string, clientSecret: string) =>
  `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`
export const bearer = (token: string) => `Bearer ${token}`

/** @param baseUrl without a trailing slash. @param authorization header, see `basic`, `bearer` */
export function jsonClient(baseUrl: string, authorization?: string, handler: Handler = fetch): JsonClient {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<Answer<T>> => {
    const headers = new Headers(authorization === undefined ? {} : { authorization })
    // A FormData brings its own content type.
    const raw = body === undefined || body instanceof FormData
    if (!raw) headers.set('content-type', 'application/json')
    const response = await handler(
      new Request(baseUrl + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      }),
    )
    const { status, headers: answered } = response
    const text = await response.text()
    expectDocumented(method, path, { status, headers: answered, text })
    return { status, headers: answered, body: parsed(text) as T }
  }
  return {
    get: path => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    patch: (path, body) => call('PATCH', path, body),
    delete: (path, body) => call('DELETE', path, body),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
