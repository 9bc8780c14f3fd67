/** One authenticated request: who asks, as which user, and for what. */
import { bearerToken } from '../lib/bearer-token.ts'
import type { Appservice } from './appservices/appservices.ts'
import type { Core, Session } from './core.ts'
import { forbidden, invalidParam, MatrixError } from './errors.ts'
import { tokenHash } from './identifiers.ts'
import type { Json, JsonObject } from './json.ts'

/** The user that a request acts as. */
export interface Requester {
  userId: string
  /** undefined for an appservice that names no device */
  deviceId: string | undefined
  appservice: Appservice | undefined
  /** True for an appservice acting as a user of somebody else. */
  isPuppet: boolean
  /** Scope in which transaction ids are unique, together with the user. */
  scope: string
}

export interface Call {
  core: Core
  request: Request
  params: Record<string, string>
  query: URLSearchParams
  requester: Requester
}

/** JSON is sent with status 200, a Response unchanged. */
export type Answer = Response | JsonObject | Json[]
export type Handler = (call: Call) => Answer | Promise<Answer>

/** A path parameter; the router guarantees it. */
export function param(call: Call, name: string): string {
  const value = call.params[name]
  if (value === undefined) throw new Error(`the route has no parameter ${name}`)
  return value
}

/** A whole number in the query. */
export function intQuery(call: Call, name: string, fallback: number, max: number): number {
  const text = call.query.get(name)
  if (text === null) return fallback
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw invalidParam(`${name} must be a whole number`)
  return Math.min(value, max)
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#using-access-tokens */
export function accessToken(request: Request, query: URLSearchParams): string | undefined {
  if (request.headers.has('authorization')) return bearerToken(request)
  return query.get('access_token') ?? undefined
}

/** Identifies the requester. @throws M_MISSING_TOKEN or M_UNKNOWN_TOKEN */
export function authenticate(core: Core, request: Request, query: URLSearchParams): Requester {
  const token = accessToken(request, query)
  if (!token) throw new MatrixError(401, 'M_MISSING_TOKEN', 'Missing access token')
  const appservice = core.appservices.authenticate(token)
  if (appservice) return masquerade(core, appservice, query)
  const session = sessionOf(core, token)
  if (!session)
    throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Unrecognised access token', { soft_logout: false })
  const { userId, deviceId } = session
  return { userId, deviceId, appservice: undefined, isPuppet: false, scope: deviceId }
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
function masquerade(core: Core, appservice: Appservice, query: URLSearchParams): Requester {
  const userId = query.get('user_id') ?? appservice.senderUserId
  if (!appservice.namespaces.speaksFor(userId) || !userId.endsWith(`:${core.serverName}`))
    throw forbidden(`Application service cannot masquerade as ${userId}`)
  if (!core.userExists(userId)) throw forbidden(`Application service has not registered ${userId}`)
  const isPuppet = !appservice.namespaces.hasUser(userId)
  const deviceId = query.get('device_id') ?? query.get('org.matrix.msc3202.device_id') ?? undefined
  if (deviceId !== undefined && !core.users.device(userId, deviceId))
    throw new MatrixError(400, 'M_UNKNOWN_DEVICE', `${userId} has no device ${deviceId}`)
  if (deviceId !== undefined && isPuppet)
    throw forbidden(`Application service cannot use a device of ${userId}, who isn't its own user`)
  const scope = deviceId === undefined ? `\u0000${appservice.num}` : deviceId
  return { userId, deviceId, appservice, isPuppet, scope }
}

/** The path's user. @throws M_FORBIDDEN unless it is the requester */
export function ownUserId(call: Call): string {
  const userId = param(call, 'userId')
  if (call.requester.userId !== userId)
    throw forbidden(`${call.requester.userId} can't do this for ${userId}`)
  return userId
}

/** An appservice's `?ts=` (Matrix v1.12, application service API, "Timestamp massaging"). */
export function massagedTimestamp(call: Call): number | undefined {
  const ts = call.query.get('ts')
  if (ts === null || !call.requester.appservice) return undefined
  const value = Number(ts)
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalidParam('ts must be a whole number of milliseconds')
  return value
}

const MAX_TXN_ID_LENGTH = 1024

/**
 * Identifies a repeated request.
 * @see https://spec.matrix.org/v1.12/client-server-api/#transaction-identifiers
 */
export function transaction(call: Call, id = param(call, 'txnId')): { scope: string; id: string } {
  if (id === '' || id.length > MAX_TXN_ID_LENGTH)
    throw invalidParam('The transaction id is empty or too long')
  return { scope: call.requester.scope, id }
}
