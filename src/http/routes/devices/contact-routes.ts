/** /api/v1/devices/{device_id}/contacts and /groups: who and what a device can write to. */
import { t } from 'elysia'
import { Contact, ContactCheck, ContactChecks, ContactPage, Group } from '../../../domain/views/contact.ts'
import type { ContactPlace } from '../../../modules/chats/directory.ts'
import { pageAsked, pageShown } from '../../paging.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { CheckContacts, ContactParams, ContactsQuery, DeviceParams, PlatformQuery } from './contact-model.ts'

export function contactRoutes({ directory }: Pick<HttpServices, 'directory'>) {
  return [
    bearerRoute('GET', '/api/v1/devices/:device_id/contacts', {
      id: 'listContacts',
      tag: 'Contacts',
      summary: 'List contacts',
      description:
        "The device's address book. On a network that has none to list, `query` searches the network; without a query that is a 501. With `cursor` (empty for the first page) it comes in pages.",
      params: DeviceParams,
      query: ContactsQuery,
      answer: answer(
        200,
        'By name: an array, or with `cursor` a page',
        t.Union([t.Array(Contact), ContactPage]),
      ),
      errors: [404, 409, 501, 502, 504],
      run: async ({ identityId, params, query: { platform = null, query, limit, cursor } }) => {
        // Whoever begins a list with an empty cursor wants pages; the plain list is as it ever was.
        const asked = { limit, ...(cursor ? { cursor } : {}) }
        const page = pageAsked<ContactPlace>(asked, ['string', 'string'])
        const found = await directory.contacts(identityId, params.device_id, { platform, query, ...page })
        return cursor === undefined ? found.data : pageShown(found)
      },
    }),
    bearerRoute('GET', '/api/v1/devices/:device_id/contacts/:identifier', {
      id: 'checkContact',
      tag: 'Contacts',
      summary: 'Check a number or name',
      description: 'Whether somebody on the network answers to it. Nothing is sent to them.',
      params: ContactParams,
      query: PlatformQuery,
      answer: answer(200, 'Who that is, if anybody', ContactCheck),
      errors: [404, 409, 501, 502, 504],
      run: ({ identityId, params, query }) =>
        directory.check(identityId, params.device_id, query.platform ?? null, params.identifier),
    }),
    bearerRoute('POST', '/api/v1/devices/:device_id/contacts/check', {
      id: 'checkContacts',
      tag: 'Contacts',
      summary: 'Check several numbers',
      description:
        'As the check of one, for up to 20. A device may check 100 numbers, and one more every 6 seconds; beyond that it is a 429 and the network is asked about none.',
      params: DeviceParams,
      query: PlatformQuery,
      body: CheckContacts,
      answer: answer(200, 'Who each of them is, if anybody', ContactChecks),
      errors: [404, 409, 501, 502, 504],
      run: ({ identityId, params, query, body }) =>
        directory.checkAll(identityId, params.device_id, query.platform ?? null, body.numbers),
    }),
    bearerRoute('GET', '/api/v1/devices/:device_id/groups', {
      id: 'listGroups',
      tag: 'Contacts',
      summary: 'List groups',
      description: 'Groups that the device is in and can write to.',
      params: DeviceParams,
      query: PlatformQuery,
      answer: answer(200, 'By name', t.Array(Group)),
      errors: [404, 409],
      run: ({ identityId, params, query }) =>
        directory.groups(identityId, params.device_id, query.platform ?? null),
    }),
  ]
}
