/**
 * A route as one declaration: who may call it, what it takes and answers, and what it does. Its
 * security, the errors that follow from it, the checks of its fields, idempotency and its entry in
 * the document all come from here.
 */
import type { Static, TSchema } from '@sinclair/typebox'
import type { Scope } from '../domain/scopes.ts'
import type { Recorder } from '../modules/idempotency/types.ts'
import type { Principal } from '../modules/tenants/credentials.ts'
import type { TokenHolder } from '../modules/tenants/tokens.ts'
import type { ErrorStatus } from './error-answers.ts'
import type { Tag } from './openapi/tags.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** An answer that is no error. */
export interface Answer<A extends TSchema = TSchema> {
  status: number
  description: string
  schema?: A
  /** Takes the place of the schema's example. */
  example?: unknown
  contentType?: string
  /** Contents of other types. */
  also?: Record<string, TSchema>
}

export function answer<A extends TSchema>(
  status: number,
  description: string,
  schema?: A,
  more: Pick<Answer, 'example' | 'contentType' | 'also'> = {},
): Answer<A> {
  return { status, description, ...(schema && { schema }), ...more }
}

export interface RouteContext<P extends TSchema, Q extends TSchema, B extends TSchema> {
  request: Request
  params: Static<P>
  query: Static<Q>
  body: Static<B>
  set: { status?: number | string; headers: Record<string, string | number | undefined> }
  /**
   * Keeps the answer in the transaction that does what was asked for; undefined without an
   * Idempotency-Key.
   * @param bodyOf makes the answer of what the transaction came to
   */
  recorder<T>(bodyOf: (result: T) => unknown): Recorder<T> | undefined
}

/** Who calls with a credential. */
export interface BasicCaller {
  credential: Principal
}

/** Who calls with a token. */
export interface BearerCaller {
  holder: TokenHolder
  identityId: string
  token: string
}

type Returned<A extends TSchema> = Static<A> | Response | AsyncIterable<readonly unknown[]>

interface Declaration<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema, Caller> {
  /** Verb and noun, for generated clients. It does not change. */
  id: string
  tag: Tag
  summary: string
  description?: string
  params?: P
  query?: Q
  /** A JSON object, which is read and checked before `run`. */
  body?: B
  /** Fields of the body whose null means something, and so isn't left out. */
  nulls?: readonly string[]
  /** Bodies by content type, when `run` reads them itself and claims the Idempotency-Key then. */
  reads?: Record<string, TSchema>
  /** `run` keeps its answer by `recorder`. */
  records?: boolean
  answer: Answer<A>
  /** A further answer that is no error. */
  or?: Answer
  /** Statuses of errors that don't follow from the rest. */
  errors?: readonly ErrorStatus[]
  run(context: RouteContext<P, Q, B> & Caller): Returned<A> | Promise<Returned<A>>
}

/** How the caller of a route is authenticated, by the document's names. */
export type Access =
  | { by: 'none' }
  | {
      by: 'basicAuth'
      scope: Scope
      /** Throws what this caller may not ask for, also before a repeat is answered. */
      refuse?: (credential: Principal, body: unknown) => void
    }
  | {
      by: 'bearerAuth'
      /** The token may also be `?token=`: a browser's WebSocket can't set headers. */
      inQuery?: boolean
    }
type Options<By extends Access['by']> = Omit<Extract<Access, { by: By }>, 'by'>

export interface Route extends Declaration<TSchema, TSchema, TSchema, TSchema, BasicCaller & BearerCaller> {
  method: Method
  /** As Elysia has it: /api/v1/messages/:id. */
  path: string
  access: Access
}

/** A route that anybody may call. */
export function openRoute<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema>(
  method: Method,
  path: string,
  declaration: Declaration<P, Q, B, A, unknown>,
): Route {
  return { method, path, access: { by: 'none' }, ...declaration }
}

/** A route for credentials with a scope. */
export function basicRoute<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema>(
  method: Method,
  path: string,
  declaration: Declaration<P, Q, B, A, BasicCaller> & Options<'basicAuth'>,
): Route {
  const { scope, refuse, ...rest } = declaration
  return { method, path, access: { by: 'basicAuth', scope, ...(refuse && { refuse }) }, ...rest }
}

/** A route for tokens. */
export function bearerRoute<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema>(
  method: Method,
  path: string,
  declaration: Declaration<P, Q, B, A, BearerCaller> & Options<'bearerAuth'>,
): Route {
  const { inQuery = false, ...rest } = declaration
  return { method, path, access: { by: 'bearerAuth', inQuery }, ...rest }
}
