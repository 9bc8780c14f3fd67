/**
 * Authentication as two macros. A route says `basic: { scope, body }` or `bearer: body`, and its handler gets `credential` or
 * `holder`. The caller is authenticated before the body is looked at, and the body before it is validated.
 */
import { isUtf8 } from 'node:buffer'
import { bearer as bearerToken } from '@elysiajs/bearer'
import { Elysia } from 'elysia'
import { GatewayError } from '../../domain/errors.ts'
import { allows, effectiveScopes, type Scope } from '../../domain/scopes.ts'
import type { Principal } from '../../modules/credentials/types.ts'
import { credentialHolder, identityHolder, tokenHolder } from '../../modules/idempotency/holders.ts'
import type { TokenHolder } from '../../modules/tokens/types.ts'
import { readJson } from '../body.ts'
import { challenge } from '../errors.ts'
import { roomOf } from '../in-flight.ts'
import { notesOf } from '../request-notes.ts'
import { queryNames, refuseUnknown } from '../unknown-fields.ts'
import { claimOnce, noteContent, noteHolder } from './idempotency.ts'

/** What a route does with the request's body: has it read as JSON, has none, or reads it itself (and then asks `claimOnce` itself, too). */
type BodyUse = 'json' | 'none' | 'own'

interface RouteUse {
  body: BodyUse
  /** Whether the route records its answer by `recorderOf`, in the transaction that does what was asked for. */
  records?: boolean
}

/** A token and who holds it. */
type Presented = {
  holder: TokenHolder
  token: string
}

const principals = new WeakMap<Request, Principal>()
const presented = new WeakMap<Request, Presented>()

/** Who made a request, once it is authenticated: for the log. */
export function callerOf(request: Request): { client_id: string } | { token_id: number } | undefined {
  const bearer = presented.get(request)
  if (bearer) return { token_id: bearer.holder.tokenId }
  const principal = principals.get(request)
  return principal && { client_id: principal.clientId }
}

/*
 * Elysia finds out what a hook needs by reading the hook's source, which in the binary is minified: a parameter `context` becomes
 * `e`, and is then found everywhere. So each hook takes its parameter apart, one level deep; otherwise cookies and bodies would
 * be parsed for nobody, or the query not at all.
 */

export interface BasicUse extends RouteUse {
  scope: Scope
  /** Refuses what this caller may not ask for, by throwing: before a repeat is answered, as rights may have been taken away since. */
  refuse?: (credential: Principal, body: unknown) => void
}

export function basicAuth(credentials: {
  authenticate(clientId: string, secret: string, request: Request): Promise<Principal>
}) {
  return new Elysia({ name: 'basic-auth' }).macro({
    basic: ({ scope, body: use, records = false, refuse }: BasicUse) => ({
      ...(use === 'json' ? { parse: emptyBody } : {}),
      transform:
        use === 'json'
          ? async ({ request, body }: { request: Request; body: unknown }) => {
              await enter(request, scope)
              fill(request, body, await readJson(request))
              refuse?.(present(principals, request), body)
            }
          : ({ request }: { request: Request }) => enter(request, scope),
      ...once(use, records),
      resolve: ({ request }: { request: Request }) => ({ credential: present(principals, request) }),
    }),
  })

  async function enter(request: Request, scope: Scope): Promise<void> {
    const principal = await admit(request, scope)
    principals.set(request, principal)
    const holder = credentialHolder(principal.clientId)
    roomOf(request).chargeTo(holder)
    noteHolder(request, holder)
    refuseUnknownParameters(request)
  }

  async function admit(request: Request, scope: Scope): Promise<Principal> {
    const principal = await authenticate(request)
    if (allows(effectiveScopes(principal.role, principal.scopes), scope)) return principal
    throw new GatewayError('forbidden', `This credential lacks the scope ${scope}`)
  }

  async function authenticate(request: Request): Promise<Principal> {
    const { clientId, secret } = parseBasic(request.headers.get('authorization'))
    try {
      return await credentials.authenticate(clientId, secret, request)
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'unauthorized') {
        throw challenge('Basic', error.message)
      }
      throw error
    }
  }
}

export interface BearerUse extends RouteUse {
  /** Fields of the body whose null means something, and so isn't left out. */
  nulls?: readonly string[]
  /** The token may also be `?token=`, for callers that can't set headers (a browser's WebSocket). */
  tokenInQuery?: boolean
}

interface BearerContext {
  request: Request
  body: unknown
  query: Record<string, string | undefined>
  headers: Record<string, string | undefined>
  bearer: string | undefined
}

export function bearerAuth(tokens: { authenticate(token: string, request: Request): Promise<TokenHolder> }) {
  const admit = async (request: Request, token: string, use: BodyUse) => {
    const holder = await tokens.authenticate(token, request)
    presented.set(request, { token, holder })
    const identity = identityHolder(holder.identity.id)
    roomOf(request).chargeTo(identity)
    noteHolder(request, use === 'own' ? identity : tokenHolder(holder.tokenId))
    refuseUnknownParameters(request)
  }
  return new Elysia({ name: 'bearer-auth' }).use(bearerToken(TOKEN_PLACES)).macro({
    bearer: ({ body: use, nulls = [], tokenInQuery = false, records = false }: BearerUse) => ({
      ...(use === 'json' ? { parse: emptyBody } : {}),
      // `query` and `headers` are what the plugin reads, too: minified, its own function hides that from Elysia.
      transform:
        use === 'json'
          ? async ({ request, body, query, headers, bearer }: BearerContext) => {
              await admit(request, presentedToken(headers, bearer, tokenInQuery && 'token' in query), use)
              fill(request, body, await readJson(request, nulls))
            }
          : async ({ request, query, headers, bearer }: BearerContext) => {
              await admit(request, presentedToken(headers, bearer, tokenInQuery && 'token' in query), use)
            },
      ...once(use, records),
      /** `holder` and the `token` presented. */
      resolve: ({ request }: { request: Request }) => present(presented, request),
    }),
  })
}

const TOKEN_PLACES = { extract: { header: 'Bearer', query: 'token', body: 'token' } }

/**
 * @param found by @elysiajs/bearer, in the header or else in the query
 * @throws HttpError 401
 */
function presentedToken(
  { authorization: header }: BearerContext['headers'],
  found: string | undefined,
  tokenInQuery: boolean,
): string {
  if (header === undefined) {
    if (tokenInQuery && found) return found
    throw challenge('Bearer', 'Authorization is missing: send "Authorization: Bearer mt_…"')
  }
  // The plugin knows the scheme as "Bearer" alone; RFC 9110 has it without regard to case.
  const token = header.startsWith('Bearer ') ? found : /^bearer +(.+)$/i.exec(header)?.[1]
  if (token) return token.trim()
  throw challenge('Bearer', 'Authorization is malformed: send "Authorization: Bearer mt_…"')
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

/** UTF-8, as the challenge asks for; what isn't is from a client that encodes one byte a character (a browser's `btoa`). */
function textOf(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1')
}

/** In place of a parser: the body is validated, and so has to be something, but it isn't read before the caller is known. */
function emptyBody() {
  return {}
}

/** A repeat is answered before anything is done. What is malformed has been refused by then, and isn't remembered. */
function once(use: BodyUse, records: boolean) {
  return use === 'own'
    ? {}
    : { beforeHandle: ({ request }: { request: Request }) => claimOnce(request, records) }
}

function fill(request: Request, body: unknown, json: unknown): void {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new GatewayError('bad_request', 'The body must be a JSON object')
  }
  // It would be assigned as the body's prototype, whose fields then pass for fields of the body.
  if (Object.hasOwn(json, '__proto__')) Reflect.deleteProperty(json, '__proto__')
  const schema = notesOf(request).accepted?.body
  if (schema) refuseUnknown('field', Object.keys(json), schema)
  Object.assign(body as object, json)
  noteContent(request, json)
}

function refuseUnknownParameters(request: Request): void {
  const schema = notesOf(request).accepted?.query
  if (schema) refuseUnknown('parameter', queryNames(request.url), schema)
}

function present<T>(callers: WeakMap<Request, T>, request: Request): T {
  const caller = callers.get(request)
  if (caller === undefined) throw new Error('the route was reached without authentication')
  return caller
}
