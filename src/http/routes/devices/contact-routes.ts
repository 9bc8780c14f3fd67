/** /api/v1/devices/{device_id}/contacts and /groups: who and what a device can write to. */
import { Elysia } from 'elysia'
import { listResponse } from '../../large-answers.ts'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import {
  ContactCheck,
  ContactList,
  ContactParams,
  ContactsQuery,
  DeviceParams,
  GroupList,
  PlatformQuery,
} from './contact-model.ts'

export function contactRoutes({ tokens, directory }: Pick<HttpServices, 'tokens' | 'directory'>) {
  return new Elysia({ name: 'contacts', prefix: '/api/v1/devices/:device_id' })
    .use(bearerAuth(tokens))
    .get(
      '/contacts',
      async ({ request, holder, params, query }) => {
        const { id } = holder.identity
        const { platform = null, query: part, limit } = query
        const wanted = { platform, query: part, limit: pageSize(limit) }
        return listResponse(request, id, await directory.contacts(id, params.device_id, wanted))
      },
      {
        bearer: { body: 'none' },
        params: DeviceParams,
        query: ContactsQuery,
        detail: operation({
          id: 'listContacts',
          summary: 'List contacts',
          description:
            "The device's address book. On a network that has none to list, `query` searches the network; without a query that is a 501.",
          tag: 'Contacts',
          security: 'bearerAuth',
          answers: { 200: { description: 'By name', schema: ContactList } },
          errors: [400, 401, 403, 404, 409, 501, 502, 503, 504],
        }),
      },
    )
    .get(
      '/contacts/:identifier',
      ({ holder, params, query }) =>
        directory.check(holder.identity.id, params.device_id, query.platform ?? null, params.identifier),
      {
        bearer: { body: 'none' },
        params: ContactParams,
        query: PlatformQuery,
        detail: operation({
          id: 'checkContact',
          summary: 'Check a number or name',
          description: 'Whether somebody on the network answers to it. Nothing is sent to them.',
          tag: 'Contacts',
          security: 'bearerAuth',
          answers: { 200: { description: 'Who that is, if anybody', schema: ContactCheck } },
          errors: [400, 401, 403, 404, 409, 501, 502, 503, 504],
        }),
      },
    )
    .get(
      '/groups',
      async ({ request, holder, params, query }) => {
        const { id } = holder.identity
        const groups = await directory.groups(id, params.device_id, query.platform ?? null)
        return listResponse(request, id, groups)
      },
      {
        bearer: { body: 'none' },
        params: DeviceParams,
        query: PlatformQuery,
        detail: operation({
          id: 'listGroups',
          summary: 'List groups',
          description: 'Groups that the device is in and can write to.',
          tag: 'Contacts',
          security: 'bearerAuth',
          answers: { 200: { description: 'By name', schema: GroupList } },
          errors: [400, 401, 403, 404, 409],
        }),
      },
    )
}
