/** Everything below /sandbox: the interface, the page, and the link pages. */

import { isOutOfSpace } from '../../lib/error-codes.ts'
import type { Logger } from '../../lib/logger.ts'
import { MalformedPath, PathRouter } from '../../lib/path-router.ts'
import { assetResponse } from '../page/page.ts'
import { createChatHandlers } from './chats.ts'
import type { ApiContext, Handler } from './context.ts'
import { ApiError } from './errors.ts'
import type { EventStream } from './events.ts'
import { createFaultHandlers } from './faults.ts'
import { createGroupChangeHandlers } from './group-changes.ts'
import { createGroupHandlers } from './groups.ts'
import { createLinkHandlers } from './link.ts'
import { createMediaHandler } from './media.ts'
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
  const chats = createChatHandlers(api)
  const groups = createGroupHandlers(api)
  const groupChanges = createGroupChangeHandlers(api)
  const faults = createFaultHandlers(api)
  const link = createLinkHandlers(api)

  const routes: [method: string, path: string, handler: Handler][] = [
    ['GET', '', () => assetResponse('index.html')],
    ['GET', '/', () => assetResponse('index.html')],
    ['GET', '/assets/:name', ({ params }) => assetResponse(params.name ?? '')],
    ['GET', '/link/:code', link.show],
    ['POST', '/link/:code', link.accept],
    ['GET', '/api/phones', phones.list],
    ['POST', '/api/phones', phones.save],
    ['GET', '/api/phones/:phone', phones.get],
    ['GET', '/api/phones/:phone/chats', chats.list],
    ['GET', '/api/phones/:phone/chats/:chat', chats.get],
    ['PATCH', '/api/phones/:phone/chats/:chat', chats.change],
    ['POST', '/api/phones/:phone/move', phones.move],
    ['GET', '/api/phones/:phone/messages', messages.list],
    ['POST', '/api/phones/:phone/messages', messages.send],
    ['GET', '/api/groups', groups.list],
    ['POST', '/api/groups', groups.create],
    ['GET', '/api/groups/:group', groupChanges.get],
    ['PATCH', '/api/groups/:group', groupChanges.change],
    ['GET', '/api/faults', faults.get],
    ['POST', '/api/faults', faults.set],
    ['DELETE', '/api/faults', faults.clear],
    ['GET', '/api/media/:mediaId', createMediaHandler(api)],
    ['GET', '/api/events', ({ request }) => events.open(request)],
  ]
  const router = new PathRouter<Handler>()
  for (const [method, path, handler] of routes) router.add(method, `/sandbox${path}`, handler)

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const found = router.find(method, url.pathname)
    if (!found) {
      const allowed = router.methodsOf(url.pathname).join(', ')
      if (allowed === '') throw new ApiError('not_found', `there is nothing at ${url.pathname}`)
      throw new ApiError('method_not_allowed', `${method} is not possible here, only ${allowed}`)
    }
    if (method !== 'GET') refuseOtherSites(request)
    return found.handler({ request, url, params: found.params })
  }

  function refusalOf(error: unknown, request: Request): ApiError {
    if (error instanceof ApiError) return error
    if (error instanceof MalformedPath)
      return new ApiError('bad_request', 'path: expected a well-formed address')
    if (isOutOfSpace(error)) return new ApiError('storage_full', 'there is no space left to store this')
    if (request.signal.aborted) return new ApiError('bad_request', 'body: it was broken off')
    logger.error({ err: error, url: request.url }, 'a sandbox request failed')
    return new ApiError('internal_error', 'internal error')
  }

  return {
    async fetch(request: Request): Promise<Response> {
      const response = await answer(request).catch(error => refusalOf(error, request).toResponse())
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
