/**
 * Reads JSON bodies. Elysia would parse them before any hook; here the caller is authenticated
 * first.
 */
import { GatewayError } from '../domain/errors.ts'
import { BodyTooSlow, readBytesAtMost } from '../lib/bounded-body.ts'
import { charsetOf, decodeText, UndecodableText } from '../lib/charset.ts'
import { isNestedTooDeep, MAX_NESTING } from '../lib/json-nesting.ts'
import { yieldToEventLoop } from '../lib/turn-budget.ts'
import { budgetOf } from './in-flight.ts'

/** Far above what any JSON call needs. */
export const MAX_JSON_BYTES = 1024 * 1024
const LARGE_CHARACTERS = 64 * 1024
/** Characters of a header that an error repeats. */
const MAX_SHOWN = 80

/**
 * @param nulls fields whose null means something
 * @param expected content types, as an error names them
 * @returns the parsed body, without other fields that are null, as null means absent; `{}` when
 * there is no body
 * @throws GatewayError unsupported_media_type, payload_too_large, bad_request (not JSON)
 */
export async function readJson(
  request: Request,
  nulls: readonly string[] = [],
  expected = 'application/json',
): Promise<unknown> {
  const contentType = request.headers.get('content-type') ?? ''
  if (isJson(contentType)) return withoutNulls(await parseJson(request), nulls)
  // A page of another site can send any other type with the browser's stored credentials, unasked
  // (CORS).
  if (!isUnasked(request) && (await isEmpty(request))) return {}
  throw wrongType(contentType, expected)
}

/** Says which header is to be sent; many clients send one that nobody asked them for. */
export function wrongType(contentType: string, expected: string): GatewayError {
  const given = contentType === '' ? 'it is missing' : `not ${contentType.slice(0, MAX_SHOWN)}`
  return new GatewayError(
    'unsupported_media_type',
    `Content-Type: expected ${expected}, ${given}; send the header "Content-Type: application/json" with JSON`,
  )
}

/**
 * True when there is no body, so that its type doesn't matter. A chunked one is read to find out.
 */
export async function isEmpty(request: Request): Promise<boolean> {
  if (request.body === null) return true
  const length = request.headers.get('content-length')
  if (length !== null) return length === '0'
  return (await readBytes(request)).length === 0
}

/**
 * Tells if a browser may have sent this for a page of another origin, with the password it keeps,
 * without asking us first. Such a page has to say that it sends JSON, as the browser then does ask.
 * (Without TLS browsers tell the origin alone.)
 */
function isUnasked({ headers }: Request): boolean {
  if (!/^basic /i.test(headers.get('authorization') ?? '')) return false
  const site = headers.get('sec-fetch-site')
  return site === null ? headers.has('origin') : site !== 'same-origin' && site !== 'none'
}

const CODINGS = /^(x-)?(gzip|deflate|compress|br|zstd)$/i

/**
 * Refuses a body that Bun hands over as it came, and one whose trailers it takes for the next
 * request: it answers them with an empty 400, whatever was done.
 */
export function framingProblem({ headers }: Request): GatewayError | null {
  const coding = headers.get('content-encoding')?.trim()
  if (coding !== undefined && CODINGS.test(coding))
    return new GatewayError(
      'unsupported_media_type',
      `Content-Encoding: expected a body without ${coding.toLowerCase()}`,
    )
  return headers.has('trailer')
    ? new GatewayError('bad_request', 'Trailer: expected a body without trailers')
    : null
}

export function isJson(contentType: string): boolean {
  return /^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(contentType)
}

/** @throws GatewayError payload_too_large, bad_request */
export async function parseJson(request: Request): Promise<unknown> {
  return parsedJson(await readText(request))
}

/** @throws GatewayError bad_request */
export async function parsedJson(text: string): Promise<unknown> {
  if (text === '') return {}
  // Reading, parsing and what is done with it have a turn of the event loop each.
  if (text.length > LARGE_CHARACTERS) await yieldToEventLoop()
  if (isNestedTooDeep(text)) {
    throw new GatewayError('bad_request', `The body is nested deeper than ${MAX_NESTING} levels`)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new GatewayError('bad_request', 'The body is not valid JSON')
  }
  if (text.length > LARGE_CHARACTERS) await yieldToEventLoop()
  return json
}

/**
 * The body as text, in the charset that it declares.
 * @throws GatewayError unsupported_media_type (an unknown charset), and as `readBytes`
 */
async function readText(request: Request): Promise<string> {
  const bytes = await readBytes(request)
  try {
    return decodeText(bytes, charsetOf(request.headers.get('content-type')))
  } catch (error) {
    throw error instanceof UndecodableText ? undecodable('The body', error) : error
  }
}

/** @param what is spoken of: the body, or a field */
export function undecodable(what: string, { message, isKnown }: UndecodableText): GatewayError {
  return isKnown
    ? new GatewayError(
        'bad_request',
        `${what} ${message}: send UTF-8, or name its charset in its Content-Type`,
      )
    : new GatewayError('unsupported_media_type', `${what}: ${message}; expected UTF-8`)
}

/**
 * Reads the body, of which no more than the limit is ever in memory.
 * @throws GatewayError payload_too_large, bad_request (the client broke off, or took too long),
 * too_many_requests (too much memory is taken)
 */
export async function readBytes(request: Request): Promise<Uint8Array> {
  const budget = budgetOf(request)
  const limit = budget.bodyLimit
  let bytes: Uint8Array | null
  try {
    bytes = await readBytesAtMost(request, MAX_JSON_BYTES, { holding: held => budget.hold(held), limit })
  } catch (error) {
    if (error instanceof GatewayError) throw error
    if (error instanceof BodyTooSlow) throw tooSlow(limit.ms)
    throw new GatewayError('bad_request', 'The body could not be read')
  }
  if (bytes !== null) return bytes
  throw tooLargeJson()
}

export function tooLargeJson(): GatewayError {
  return new GatewayError('payload_too_large', `The body is larger than ${MAX_JSON_BYTES} bytes`)
}

function tooSlow(limitMs: number): GatewayError {
  return new GatewayError('bad_request', `The body took longer than ${limitMs / 1_000} s to come in`)
}

/** Looks at the outermost object alone: a null deeper down is the caller's value. */
export function withoutNulls(json: unknown, except: readonly string[] = []): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json
  const isKept = ([name, value]: [string, unknown]) => value !== null || except.includes(name)
  for (const value of Object.values(json)) {
    if (value === null) return Object.fromEntries(Object.entries(json).filter(isKept))
  }
  return json
}
