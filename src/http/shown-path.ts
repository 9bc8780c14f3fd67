/** The path of a request as logs may show it. */
import { maskAddresses } from '../lib/mask-addresses.ts'
import { notesOf } from './request-notes.ts'
import { pathOf } from './request-path.ts'

/** Path segments that name somebody, in whatever form a network has. */
const OF_A_PERSON = '/:identifier'

/** The rest of such a path is a ticket, by which anybody could link a device. */
const LINK_PAGE = '/link/'

/** Without the query, which may hold a token or a signature, and without whom it asks for. */
export function shownPath(request: Request): string {
  const path = pathOf(request.url)
  if (path.startsWith(LINK_PAGE)) return `${LINK_PAGE}…`
  const { route } = notesOf(request)
  return maskAddresses(route?.endsWith(OF_A_PERSON) ? `${path.slice(0, path.lastIndexOf('/'))}/…` : path)
}
