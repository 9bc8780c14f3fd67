/** Parameters and answers of the routes for contacts and groups. */
import { t } from 'elysia'
import { MAX_CHECKED } from '../../../domain/views/contact.ts'
import { model } from '../../../domain/views/schema.ts'
import { pageQuery } from '../../paging.ts'
import { knownOnly } from '../../schemas.ts'

const deviceId = t.String({ description: 'Phone digits, +E.164 or login id.' })
const platform = t.Optional(
  t.String({ maxLength: 64, description: 'Needed only when devices of several platforms have this id.' }),
)

export const DeviceParams = t.Object({ device_id: deviceId })
export const ContactParams = t.Object({
  device_id: deviceId,
  identifier: t.String({
    minLength: 1,
    maxLength: 255,
    description: 'A phone number, a handle, an id of the network, or a Matrix id as webhooks have it.',
  }),
})
export const PlatformQuery = t.Object({ platform }, knownOnly)

export const CheckContacts = model(
  'CheckContacts',
  {
    numbers: t.Array(t.String({ minLength: 1, maxLength: 255 }), {
      minItems: 1,
      maxItems: MAX_CHECKED,
      description: 'Phone numbers, handles or ids of the network.',
    }),
  },
  { ...knownOnly, examples: [{ numbers: ['+49 151 12345678', '4915187654321'] }] },
)

export const ContactsQuery = t.Object(
  {
    platform,
    query: t.Optional(t.String({ maxLength: 255, description: 'A part of a name, number or id.' })),
    ...pageQuery,
  },
  knownOnly,
)
