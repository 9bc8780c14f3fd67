/**
 * Handles the Idempotency-Key header of every write (draft-ietf-httpapi-idempotency-key-header).
 * Routing calls in here, so a new route has it without doing anything; one whose work is a single
 * transaction can record its answer in it.
 *
 * The draft answers a repeat with 409 while the first one is under way. Here it waits for the first
 * answer, as that is what its sender wants, and gets the 409 when that takes too long.
 */
import { createHash } from 'node:crypto'
import { GatewayError } from '../../domain/errors.ts'
import type { Claim, IdempotencyKeys, Recorder, StoredAnswer } from '../../modules/idempotency/types.ts'
import { pathStart } from '../request-path.ts'

const IDEMPOTENCY_KEY = 'idempotency-key'
const REPLAYED = 'idempotency-replayed'
export const MAX_KEY_LENGTH = 255
const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
/** As Elysia answers an object. */
const JSON_TYPE = 'application/json;charset=utf-8'

/** A request that carries a key. */
interface Attempt {
  keys: IdempotencyKeys
  key: string
  holder: string
  /** The body, as something that JSON can say. */
  content: unknown
  claim: Claim | null
}

const attempts = new WeakMap<Request, Attempt>()

/**
 * Answers a request, and keeps the answer if the request carries a key. One without a key costs a
 * look at its method and headers.
 */
export function answerOnce(
  keys: IdempotencyKeys,
  request: Request,
  answer: (request: Request) => Response | Promise<Response>,
): Response | Promise<Response> {
  if (!isWrite(request.method) || !request.headers.has(IDEMPOTENCY_KEY)) return answer(request)
  return answerKeyed(keys, request, answer)
}

/** True for the methods that take a key. */
export function isWrite(method: string): boolean {
  return WRITES.has(method)
}

async function answerKeyed(...[keys, request, answer]: Parameters<typeof answerOnce>): Promise<Response> {
  const attempt: Attempt = { keys, key: '', holder: '', content: null, claim: null }
  attempts.set(request, attempt)
  const response = await answer(request)
  return attempt.claim ? settle(attempt.claim, response) : response
}

/**
 * Notes whose request it is.
 * @throws GatewayError bad_request when the key is malformed, before anything of the body is read
 */
export function noteKeys(request: Request, holder: string): void {
  const attempt = attempts.get(request)
  if (!attempt) return
  attempt.key = parseKey(request.headers.get(IDEMPOTENCY_KEY) ?? '')
  attempt.holder = holder
}

export function noteContent(request: Request, content: unknown): void {
  const attempt = attempts.get(request)
  if (attempt) attempt.content = content
}

/** Tells if the request carries a key, so that its body has to be known. */
export function hasKey(request: Request): boolean {
  return attempts.has(request)
}

/**
 * To be called once the caller is known and the body read, and before anything is done.
 * @param atomic whether the route records its answer by `recorder`
 * @returns the first answer when the request is a repeat
 * @throws GatewayError unprocessable, conflict
 */
export function claimOnce(request: Request, atomic: boolean): Promise<Response | undefined> | undefined {
  const attempt = attempts.get(request)
  return attempt && claim(request, attempt, atomic)
}

/**
 * @returns what keeps the answer in the transaction that does what was asked for; undefined when
 * the request has no key
 */
export function recorderOf<T>(
  request: Request,
  answerOf: (result: T) => { status: number; body: unknown },
): Recorder<T> | undefined {
  const claim = attempts.get(request)?.claim
  if (!claim) return undefined
  return (tx, result) => {
    const { status, body } = answerOf(result)
    return claim.record(tx, { status, contentType: JSON_TYPE, body: JSON.stringify(body) })
  }
}

async function claim(request: Request, attempt: Attempt, atomic: boolean): Promise<Response | undefined> {
  const { keys, key, holder, content } = attempt
  const fingerprint = fingerprintOf(request, content)
  const result = await keys.claim({ holder, key, fingerprint }, { atomic })
  if ('answer' in result) return replay(result.answer)
  attempt.claim = result.claim
  return undefined
}

function replay({ status, contentType, body }: StoredAnswer): Response {
  return new Response(body, { status, headers: { 'content-type': contentType, [REPLAYED]: 'true' } })
}

async function settle(claim: Claim, response: Response): Promise<Response> {
  const { status, headers } = response
  const body = await response.text()
  const contentType = headers.get('content-type') ?? 'text/plain'
  await claim.settle(isFinal(status) ? { status, contentType, body } : null)
  return new Response(body, { status, headers })
}

/**
 * Refusals that may pass another time though the request is the same: by who one is, by what there
 * is (a device that is linked again, a chat that takes more), by too many requests. So may every
 * failure of ours.
 */
const PASSING_REFUSALS = [401, 403, 404, 409, 422, 429]

/** Tells if a repeat would come to the same. */
function isFinal(status: number): boolean {
  return status < 500 && !PASSING_REFUSALS.includes(status)
}

/**
 * Reads a string as structured fields have it (RFC 8941 section 3.3.3: `"…"`), or the bare key that
 * most clients send.
 * @throws GatewayError bad_request
 */
function parseKey(header: string): string {
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header)?.[1]
  const key = quoted === undefined ? /^[\x21\x23-\x2b\x2d-\x7e]+$/.exec(header)?.[0] : unescaped(quoted)
  if (key && key.length <= MAX_KEY_LENGTH) return key
  throw new GatewayError(
    'bad_request',
    `Idempotency-Key: expected one key of 1 to ${MAX_KEY_LENGTH} printable ASCII characters, such as a UUID`,
  )
}

function unescaped(quoted: string): string {
  return quoted.replace(/\\(["\\])/g, '$1')
}

function fingerprintOf({ method, url }: Request, content: unknown): string {
  const request = [method, url.slice(pathStart(url)), content]
  return createHash('sha256').update(canonicalJson(request)).digest('base64url')
}

/** The same text for the same value, whatever the order of its fields. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  )
}
