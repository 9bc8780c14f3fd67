/** Everything below /sandbox: the interface, the page, and the link pages. */

import type { Logger } from '../../lib/logger.ts'
import { isOutOfSpace } from '../../lib/out-of-space.ts'
import { assetResponse } from '../page/assets.ts'
import type { ApiContext, Handler } from './context.ts'
import { ApiError } from './errors.ts'
import type { EventStream } from './events.ts'
import { createFaultHandlers } from './faults.ts'
import { createGroupHandlers } from './groups.ts'
import { createLinkHandlers } from './link.ts'
import { createMediaHandlers } from './media.ts'
import { createMessageHandlers } from './messages.ts'
import { createPhoneHandlers } from './phones.ts'

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'x-content-type-options': 'nosniff',
  // With no-referrer, browsers send our pages' forms with `Origin: null`, like any other page's.
  'referrer-policy': 'same-origin',
}

/** @param events the page's live updates */
export function createRouter(api: ApiContext, events: EventStream, logger: Logger) {
  const phones = createPhoneHandlers(api)
  const messages = createMessageHandlers(api)
  const groups = createGroupHandlers(api)
  const faults = createFaultHandlers(api)
  const media = createMediaHandlers(api)
  const link = createLinkHandlers(api)

  const routes: [method: string, pattern: RegExp, handler: Handler][] = [
    ['GET', /^\/?$/, () => assetResponse('index.html')],
    ['GET', /^\/assets\/([\w.-]+)$/, ({ parts }) => assetResponse(parts[0] ?? '')],
    ['GET', /^\/link\/([^/]+)$/, link.show],
    ['POST', /^\/link\/([^/]+)$/, link.accept],
    ['GET', /^\/api\/phones$/, phones.list],
    ['POST', /^\/api\/phones$/, phones.save],
    ['GET', /^\/api\/phones\/([^/]+)$/, phones.get],
    ['GET', /^\/api\/phones\/([^/]+)\/chats$/, phones.chats],
    ['GET', /^\/api\/phones\/([^/]+)\/messages$/, messages.list],
    ['POST', /^\/api\/phones\/([^/]+)\/messages$/, messages.send],
    ['GET', /^\/api\/groups$/, groups.list],
    ['POST', /^\/api\/groups$/, groups.create],
    ['GET', /^\/api\/faults$/, faults.get],
    ['POST', /^\/api\/faults$/, faults.set],
    ['DELETE', /^\/api\/faults$/, faults.clear],
    ['GET', /^\/api\/media\/([\w-]+)$/, media.get],
    ['GET', /^\/api\/events$/, ({ request }) => events.open(request)],
  ]

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const path = url.pathname.replace(/^\/sandbox/, '')
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const matching = routes.filter(([, pattern]) => pattern.test(path))
    const route = matching.find(([candidate]) => candidate === method)
    if (!route) {
      if (matching.length === 0) throw new ApiError('not_found', `there is nothing at ${url.pathname}`)
      const allowed = matching.map(([candidate]) => candidate).join(', ')
      throw new ApiError('method_not_allowed', `${method} is not possible here, only ${allowed}`)
    }
    if (method !== 'GET') refuseOtherSites(request)
    const [, pattern, handler] = route
    return handler({ request, url, parts: decoded(pattern.exec(path)) })
  }

  return {
    async fetch(request: Request): Promise<Response> {
      const response = await answer(request).catch(error => {
        if (error instanceof ApiError) return error.toResponse()
        if (isOutOfSpace(error))
          return new ApiError('storage_full', 'there is no space left to store this').toResponse()
        if (request.signal.aborted) return new ApiError('bad_request', 'body: it was broken off').toResponse()
        logger.error({ err: error, url: request.url }, 'a sandbox request failed')
        return Response.json({ error: 'internal error', code: 'internal_error' }, { status: 500 })
      })
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.headers.set(name, value)
      return response
    },
  }
}

/** A page elsewhere must not send messages or link devices from its reader's browser. */
function refuseOtherSites(request: Request): void {
  const site = request.headers.get('sec-fetch-site')
  if (site === 'cross-site') throw new ApiError('forbidden', 'this is not open to pages of other sites')
}

function decoded(match: RegExpExecArray | null): string[] {
  try {
    return (match ?? []).slice(1).map(part => decodeURIComponent(part))
  } catch {
    throw new ApiError('bad_request', 'path: expected a well-formed address')
  }
}
