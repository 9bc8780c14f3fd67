/** Calls of a client whose gateway may be gone at any instant. */

export interface CallAnswer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

/** Whoever waits longer gives up, as a client does. */
const PATIENCE_MS = 30_000

/** @returns null when there was no whole answer: whether the gateway took it isn't known */
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
