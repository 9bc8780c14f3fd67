/** Reads JSON bodies. Elysia's own parsing comes before any hook, so it is left out: a caller is authenticated first. */
import { GatewayError } from '../domain/errors.ts'

/** Far above what any JSON call needs. */
const MAX_JSON_BYTES = 1024 * 1024

/**
 * @returns the parsed body without fields that are null, which mean the same as absent ones; `{}` when there is no body
 * @throws GatewayError unsupported_media_type, payload_too_large, bad_request (not JSON)
 */
export async function readJson(request: Request): Promise<unknown> {
  const contentType = request.headers.get('content-type')
  if (contentType === null && !hasBody(request)) return {}
  // Anything else can be sent by a page of another site with the browser's stored credentials, without being asked (CORS).
  if (contentType === null || !isJson(contentType)) {
    throw new GatewayError('unsupported_media_type', 'Content-Type: expected application/json')
  }
  return withoutNulls(await parseJson(request))
}

export function isJson(contentType: string): boolean {
  return /^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(contentType)
}

/** @throws GatewayError payload_too_large, bad_request */
export async function parseJson(request: Request): Promise<unknown> {
  const text = await readText(request)
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw new GatewayError('bad_request', 'The body is not valid JSON')
  }
}

/**
 * The body as text, of which no more than the limit is ever in memory.
 * @throws GatewayError payload_too_large, bad_request (the client broke off)
 */
export async function readText(request: Request): Promise<string> {
  const declared = request.headers.get('content-length')
  if (declared !== null && Number(declared) > MAX_JSON_BYTES) throw tooLarge()
  try {
    return declared === null && request.body ? await readAtMost(request.body) : await request.text()
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('bad_request', 'The body could not be read')
  }
}

/** A chunked body doesn't say how long it is. */
async function readAtMost(body: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_JSON_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function hasBody(request: Request): boolean {
  return request.body !== null && request.headers.get('content-length') !== '0'
}

function tooLarge(): GatewayError {
  return new GatewayError('payload_too_large', `The body is larger than ${MAX_JSON_BYTES} bytes`)
}

/** Of the outermost object alone: a null deeper down is the caller's value. */
export function withoutNulls(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json
  for (const value of Object.values(json)) {
    if (value === null) return Object.fromEntries(Object.entries(json).filter(([, kept]) => kept !== null))
  }
  return json
}
