/**
 * Gives declared routes to Elysia. The caller is authenticated before the body is looked at, the
 * body is read before it is validated, and a repeat is answered before anything is done.
 */
import { bearer } from '@elysiajs/bearer'
import type { AnyElysia, TSchema } from 'elysia'
import { GatewayError } from '../domain/errors.ts'
import { type Authenticators, callerOf, enter, type Shown } from './authentication.ts'
import { readJson } from './body.ts'
import { listResponse } from './large-answers.ts'
import { operation } from './openapi/operation.ts'
import { claimOnce, noteContent, recorderOf } from './plugins/idempotency.ts'
import type { BasicCaller, BearerCaller, Route, RouteContext } from './route.ts'
import { queryNames, refuseUnknown } from './unknown-fields.ts'

/** Whoever calls, a route finds the caller that it declares. */
type Callers = BasicCaller & BearerCaller
type Context = Omit<RouteContext<TSchema, TSchema, TSchema>, 'recorder'>
type Presented = { request: Request } & Shown

const TOKEN_PLACES = { extract: { header: 'Bearer', query: 'token' } }

export function addRoutes(app: AnyElysia, routes: readonly Route[], authenticators: Authenticators): void {
  app.use(bearer(TOKEN_PLACES))
  for (const route of routes) {
    const { method, path, params, query, body } = route
    const schemas = { ...(params && { params }), ...(query && { query }), ...(body && { body }) }
    const hooks = hooksOf(route, (request, shown) => enter(route, request, shown, authenticators))
    app.route(
      method,
      path,
      handlerOf(route) as never,
      { ...schemas, ...hooks, detail: operation(route) } as object,
    )
  }
}

/*
 * Elysia finds out what a hook needs by reading its source, which in the binary is minified: a
 * parameter `context` becomes `e`, and is then found everywhere. So each hook and handler takes its
 * parameter apart, one level deep; otherwise cookies and bodies would be parsed for nobody, or the
 * query not at all.
 */

function hooksOf(route: Route, authenticate: (request: Request, shown: Shown) => Promise<void>): object {
  if (route.access.by === 'none') return {}
  const transform = async ({ request, query, headers, bearer }: Presented) => {
    await authenticate(request, { query, headers, bearer })
    if (route.query) refuseUnknown('parameter', queryNames(request.url), route.query)
  }
  if (route.reads) return { parse: 'none', transform }
  const beforeHandle = ({ request }: Context) => claimOnce(request, route.records === true)
  if (!route.body) return { transform, beforeHandle }
  return {
    // The body is validated, and so has to be something, but isn't read before the caller is known.
    parse: () => ({}),
    async transform({ request, query, headers, bearer, body }: Presented & { body: object }) {
      await transform({ request, query, headers, bearer })
      await fill(route, request, body)
    },
    beforeHandle,
  }
}

async function fill({ access, body: schema, nulls }: Route, request: Request, body: object): Promise<void> {
  const json = await readJson(request, nulls)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new GatewayError('bad_request', 'The body must be a JSON object')
  }
  // It would be assigned as the body's prototype, whose fields then pass for fields of the body.
  if (Object.hasOwn(json, '__proto__')) Reflect.deleteProperty(json, '__proto__')
  if (schema) refuseUnknown('field', Object.keys(json), schema)
  Object.assign(body, json)
  noteContent(request, json)
  const caller = callerOf(request)
  if (access.by === 'basicAuth' && caller && 'credential' in caller) access.refuse?.(caller.credential, body)
}

function handlerOf(route: Route) {
  const { status } = route.answer
  const mayBeLarge = route.method === 'GET' && route.access.by !== 'none'

  function run(context: Context) {
    const { request, set } = context
    if (status > 200) set.status = status
    const caller = callerOf(request)
    const recorder: RouteContext<TSchema, TSchema, TSchema>['recorder'] = bodyOf =>
      recorderOf(request, result => ({ status, body: bodyOf(result) }))
    const answer = route.run({ ...context, ...(caller as Callers), recorder })
    return mayBeLarge ? read(request, caller, answer) : answer
  }

  return route.body
    ? ({ request, params, query, body, set }: Context) => run({ request, params, query, body, set })
    : ({ request, params, query, set }: Context) => run({ request, params, query, body: undefined, set })
}

/** Large answers count for whoever asked until they are taken. */
async function read(
  request: Request,
  caller: ReturnType<typeof callerOf>,
  answer: ReturnType<Route['run']>,
): Promise<unknown> {
  const data = await answer
  if (data instanceof Response || data === undefined || !caller) return data
  const holder = 'credential' in caller ? caller.credential.clientId : caller.identityId
  return listResponse(request, holder, data as object)
}
