/** One authenticated request: who asks, as which user, and for what: its path, query and body. */
import { z } from 'zod'
import { bearerToken } from '../lib/bearer-token.ts'
import { readBytesAtMost } from '../lib/bounded-body.ts'
import { decodeText, UndecodableText } from '../lib/charset.ts'
import type { Pieces } from '../lib/json-answer.ts'
import { yieldToEventLoop } from '../lib/turn-budget.ts'
import type { Appservice } from './appservices/appservices.ts'
import type { Core, Session } from './core.ts'
import { badJson, forbidden, invalidParam, MatrixError, tooLarge } from './errors.ts'
import { tokenHash } from './identifiers.ts'
import { isObject, type Json, type JsonObject, type JsonRules, parseJson } from './json.ts'

/** The user that a request acts as. */
export interface Requester {
  core: Core
  userId: string
  /** undefined for an appservice that names no device */
  deviceId: string | undefined
  appservice: Appservice | undefined
  /** True for an appservice acting as a user of somebody else. */
  isPuppet: boolean
  /** Scope in which transaction ids are unique, together with the user. */
  scope: string
}

/** A request before anybody knows who asks. */
export interface OpenCall {
  core: Core
  request: Request
  query: URLSearchParams
}

export interface Call extends Requester, OpenCall {
  params: Record<string, string>
}

/** JSON is sent with status 200 (`{}` for nothing), also one in pieces; a Response unchanged. */
export type Answer = Response | JsonObject | Json[] | Pieces | undefined
export type Handler = (call: Call) => Answer | Promise<Answer>

/** A path parameter; the router guarantees it. */
export function param(call: Call, name: string): string {
  const value = call.params[name]
  if (value === undefined) throw new Error(`the route has no parameter ${name}`)
  return value
}

/** A whole number in the query. */
export function intQuery(call: Call, name: string, fallback: number, max: number): number {
  return Math.min(wholeNumber(call, name, 'a whole number') ?? fallback, max)
}

function wholeNumber({ query }: Call, name: string, expected: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw invalidParam(`${name} must be ${expected}`)
  return value
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#using-access-tokens */
export function accessToken({ request, query }: OpenCall): string | undefined {
  if (request.headers.has('authorization')) return bearerToken(request)
  return query.get('access_token') ?? undefined
}

/** Identifies the requester. @throws M_MISSING_TOKEN or M_UNKNOWN_TOKEN */
export function authenticate(call: OpenCall): Requester {
  const { core } = call
  const token = accessToken(call)
  if (!token) throw new MatrixError(401, 'M_MISSING_TOKEN', 'Missing access token')
  const appservice = core.appservices.authenticate(token)
  if (appservice) return masquerade(call, appservice)
  const session = sessionOf(core, token)
  if (!session)
    throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Unrecognised access token', { soft_logout: false })
  return { core, ...session, appservice: undefined, isPuppet: false, scope: session.deviceId }
}

/** True if the token belongs to a user or an appservice. */
export function isKnownToken(core: Core, token: string): boolean {
  return core.appservices.authenticate(token) !== undefined || sessionOf(core, token) !== undefined
}

function sessionOf(core: Core, token: string): Session | undefined {
  const known = core.sessions.get(token)
  if (known) return known
  const device = core.users.deviceByToken(tokenHash(token))
  if (!device) return undefined
  const session = { userId: device.user_id, deviceId: device.device_id }
  core.sessions.set(token, session)
  return session
}

/** @see https://spec.matrix.org/v1.12/application-service-api/#identity-assertion */
function masquerade({ core, query }: OpenCall, appservice: Appservice): Requester {
  const userId = query.get('user_id') ?? appservice.senderUserId
  const isPuppet = !appservice.namespaces.has('users', userId)
  const mayMasquerade = !isPuppet || appservice.namespaces.has('puppets', userId)
  if (!mayMasquerade || !userId.endsWith(`:${core.serverName}`))
    throw forbidden(`Application service cannot masquerade as ${userId}`)
  if (!core.userExists(userId)) throw forbidden(`Application service has not registered ${userId}`)
  const deviceId = query.get('device_id') ?? query.get('org.matrix.msc3202.device_id') ?? undefined
  if (deviceId !== undefined && !core.users.device(userId, deviceId))
    throw new MatrixError(400, 'M_UNKNOWN_DEVICE', `${userId} has no device ${deviceId}`)
  if (deviceId !== undefined && isPuppet)
    throw forbidden(`Application service cannot use a device of ${userId}, who isn't its own user`)
  const scope = deviceId === undefined ? `\u0000${appservice.num}` : deviceId
  return { core, userId, deviceId, appservice, isPuppet, scope }
}

/** The path's user. @throws M_FORBIDDEN unless it is the requester */
export function ownUserId(call: Call): string {
  const userId = param(call, 'userId')
  if (call.userId !== userId) throw forbidden(`${call.userId} can't do this for ${userId}`)
  return userId
}

/** An appservice's `?ts=` (Matrix v1.12, application service API, "Timestamp massaging"). */
export function massagedTimestamp(call: Call): number | undefined {
  return call.appservice && wholeNumber(call, 'ts', 'a whole number of milliseconds')
}

const MAX_TXN_ID_LENGTH = 1024

/**
 * Identifies a repeated request.
 * @see https://spec.matrix.org/v1.12/client-server-api/#transaction-identifiers
 */
export function transaction(call: Call, id = param(call, 'txnId')): { scope: string; id: string } {
  if (id === '' || id.length > MAX_TXN_ID_LENGTH)
    throw invalidParam('The transaction id is empty or too long')
  return { scope: call.scope, id }
}

/** A part of a body that is kept unchanged. */
export const jsonObject = z.custom<JsonObject>(isObject, 'must be an object')

const MAX_BODY_BYTES = 1024 * 1024
/** Reading, parsing and validating a longer body each get their own turn of the event loop. */
const LARGE_CHARACTERS = 64 * 1024

/** @param maxBytes of the body, by default 1 MiB */
type BodyRules = JsonRules & { maxBytes?: number }

/** Reads a body's JSON object. An absent body is `{}`: calls without parameters send none. */
export async function readObject({ request }: OpenCall, rules?: BodyRules): Promise<JsonObject> {
  const text = await readText(request, rules?.maxBytes)
  if (text === '') return {}
  const isLarge = text.length > LARGE_CHARACTERS
  if (isLarge) await yieldToEventLoop()
  const value = parseJson(text, rules)
  if (isLarge) await yieldToEventLoop()
  if (!isObject(value)) throw badJson('The body must be a JSON object')
  return value
}

async function readText(request: Request, maxBytes = MAX_BODY_BYTES): Promise<string> {
  const bytes = await readBytesAtMost(request, maxBytes)
  if (bytes === null) throw tooLarge(`The body is larger than ${maxBytes >> 20} MiB`)
  try {
    return decodeText(bytes)
  } catch (error) {
    if (!(error instanceof UndecodableText)) throw error
    throw new MatrixError(400, 'M_NOT_JSON', 'The body is not UTF-8')
  }
}

/** Reads and validates a body. */
export async function readBody<T>(call: OpenCall, schema: z.ZodType<T>, rules?: BodyRules): Promise<T> {
  return validate(schema, await readObject(call, rules))
}

/** M_BAD_JSON, or M_MISSING_PARAM for an absent field, names the first field at fault. */
export function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const given = withoutNulls(schema, value)
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  const missing = isObject(given) && issue?.path.length === 1 && given[String(issue.path[0])] === undefined
  if (missing) throw new MatrixError(400, 'M_MISSING_PARAM', `Missing field: ${field}`)
  throw badJson(field === '' ? 'The body is invalid' : `Invalid field ${field}: ${issue?.message ?? ''}`)
}

/** Drops optional fields that are null: SDKs write null for a field they leave out. */
function withoutNulls(schema: unknown, value: unknown): unknown {
  if (schema instanceof z.ZodOptional) return withoutNulls(schema.unwrap(), value)
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.map(item => withoutNulls(schema.element, item))
  if (!(schema instanceof z.ZodObject) || !isObject(value)) return value
  const given = { ...value }
  for (const [name, field] of Object.entries(schema.shape)) {
    const isAbsent = given[name] === null && field instanceof z.ZodOptional
    if (isAbsent) delete given[name]
    else if (given[name] !== undefined) given[name] = withoutNulls(field, given[name]) as JsonObject
  }
  return given
}
