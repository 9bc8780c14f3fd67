/** Finds out who makes a request, and whether they may. */
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../domain/errors.ts'
import { allows, effectiveScopes, type Scope } from '../domain/scopes.ts'
import { bearerToken } from '../lib/bearer-token.ts'
import { keysOfCredential, keysOfIdentity, keysOfToken } from '../modules/idempotency/holders.ts'
import type { Principal } from '../modules/tenants/credentials.ts'
import type { TokenHolder } from '../modules/tenants/tokens.ts'
import { challenge } from './error-answers.ts'
import { budgetOf } from './in-flight.ts'
import { noteKeys } from './plugins/idempotency.ts'
import type { BasicCaller, BearerCaller, Route } from './route.ts'

export interface Authenticators {
  credentials: { authenticate(clientId: string, secret: string, request: Request): Promise<Principal> }
  tokens: { authenticate(token: string, request: Request): Promise<TokenHolder> }
}

/** Where a token is shown, as Elysia reads a request. */
export interface Shown {
  query: Record<string, unknown>
  headers: Record<string, string | undefined>
  /** As @elysiajs/bearer finds it: in the header or else in the query. */
  bearer: string | undefined
}

const callers = new WeakMap<Request, BasicCaller | BearerCaller>()

/**
 * Authenticates who makes a request to a route, and counts it for them from now on.
 * @throws HttpError 401, GatewayError forbidden, too_many_requests
 */
export async function enter(
  { access, reads }: Pick<Route, 'access' | 'reads'>,
  request: Request,
  shown: Shown,
  { credentials, tokens }: Authenticators,
): Promise<void> {
  if (access.by === 'basicAuth') {
    const credential = await admit(request, access.scope, credentials)
    callers.set(request, { credential })
    const keys = keysOfCredential(credential.clientId)
    charge(request, keys, keys)
  } else if (access.by === 'bearerAuth') {
    const token = presentedToken(request, shown, access.inQuery === true)
    const holder = await tokens.authenticate(token, request)
    const identityId = holder.identity.id
    callers.set(request, { holder, identityId, token })
    const ofIdentity = keysOfIdentity(identityId)
    charge(request, ofIdentity, reads ? ofIdentity : keysOfToken(holder.tokenId))
  }
}

/** Tells who made a request, once they are authenticated. */
export function callerOf(request: Request): BasicCaller | BearerCaller | undefined {
  return callers.get(request)
}

/**
 * @param payer whose share of the memory the request takes
 * @param keys whose Idempotency-Keys are meant
 */
function charge(request: Request, payer: string, keys: string): void {
  budgetOf(request).chargeTo(payer)
  noteKeys(request, keys)
}

async function admit(
  request: Request,
  scope: Scope,
  credentials: Authenticators['credentials'],
): Promise<Principal> {
  const { clientId, secret } = parseBasic(request.headers.get('authorization'))
  const principal = await credentials.authenticate(clientId, secret, request).catch(error => {
    const isWrong = error instanceof GatewayError && error.code === 'unauthorized'
    throw isWrong ? challenge('Basic', error.message) : error
  })
  if (allows(effectiveScopes(principal.role, principal.scopes), scope)) return principal
  throw new GatewayError('forbidden', `This credential lacks the scope ${scope}`)
}

/** @throws HttpError 401 */
function presentedToken(request: Request, { query, headers, bearer }: Shown, inQuery: boolean): string {
  const { authorization } = headers
  const isMissing = authorization === undefined
  // @elysiajs/bearer knows the scheme as "Bearer" alone; RFC 9110 takes it without regard to case.
  const inHeader = authorization?.startsWith('Bearer ') ? bearer?.trim() : bearerToken(request)
  const token = isMissing ? inQuery && 'token' in query && bearer : inHeader
  if (token) return token
  const problem = isMissing ? 'missing' : 'malformed'
  throw challenge('Bearer', `Authorization is ${problem}: send "Authorization: Bearer mt_…"`)
}

/**
 * RFC 7617: base64 of `id:secret` in UTF-8; the secret may have colons of its own.
 * @throws HttpError 401
 */
function parseBasic(header: string | null): { clientId: string; secret: string } {
  if (header === null) throw challenge('Basic', 'Authorization is missing: send client id and secret')
  const encoded = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header)?.[1]
  const decoded = encoded === undefined ? '' : textOf(Buffer.from(encoded, 'base64'))
  const colon = decoded.indexOf(':')
  if (colon < 1) {
    throw challenge('Basic', 'Authorization is malformed: expected "Basic" and base64 of id:secret')
  }
  return { clientId: decoded.slice(0, colon), secret: decoded.slice(colon + 1) }
}

/**
 * Decodes UTF-8, as the challenge asks for; what isn't is from a client that encodes one byte a
 * character (a browser's `btoa`).
 */
function textOf(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1')
}
