/** Calls from a client whose gateway may be gone at any instant. */

export interface CallAnswer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

/** A call without an answer gives up after this time. */
const PATIENCE_MS = 30_000

/** @returns null without a whole answer: the gateway may have taken the request or not */
export async function call(
  method: string,
  url: string,
  {
    token,
    body,
    headers = {},
  }: { token?: string; body?: object | FormData; headers?: Record<string, string> } = {},
): Promise<CallAnswer | null> {
  const isForm = body instanceof FormData
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    })
    const answer = (await response.json()) as Record<string, unknown>
    return { status: response.status, headers: response.headers, body: answer }
  } catch {
    return null
  }
}
