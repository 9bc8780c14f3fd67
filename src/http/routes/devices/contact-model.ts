/** Parameters and answers of the routes for contacts and groups. */
import { t } from 'elysia'
import { CHAT_KINDS } from '../../../domain/states.ts'
import { knownOnly, model, nullable, oneOf, pageLimit } from '../../schemas.ts'

const deviceId = t.String({ description: 'Phone digits, +E.164 or login id.' })
const platform = t.Optional(
  t.String({ maxLength: 64, description: 'Which device, should one of another platform have the same id.' }),
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

export const ContactsQuery = t.Object(
  {
    platform,
    query: t.Optional(t.String({ maxLength: 255, description: 'A part of a name, number or id.' })),
    limit: pageLimit,
  },
  knownOnly,
)

const contact = {
  id: t.String({
    description: 'On the network; usable as `contact` of a message, as phone and matrix_id are.',
  }),
  name: t.String(),
  phone: nullable(t.String({ description: 'Digits.' })),
  matrix_id: nullable(t.String()),
  room: nullable(t.String({ description: 'The Matrix room of the chat with them, if there is one.' })),
  identifiers: t.Array(t.String(), { description: 'Other addresses, as URIs.' }),
}
const ANN = {
  id: '4915112345678',
  name: 'Ann',
  phone: '4915112345678',
  matrix_id: '@whatsapp_4915112345678:localhost',
  room: '!abc:localhost',
  identifiers: ['tel:+4915112345678'],
}

export const ContactList = t.Array(model('Contact', contact, { examples: [ANN] }))

export const ContactCheck = model(
  'ContactCheck',
  {
    exists: t.Boolean(),
    ...contact,
    id: nullable(contact.id),
    name: nullable(contact.name),
  },
  { examples: [{ exists: true, ...ANN }] },
)

export const GroupList = t.Array(
  model(
    'Group',
    {
      id: t.String({ description: 'Usable as `group_url` of a message.' }),
      name: t.String(),
      kind: oneOf(CHAT_KINDS),
      room: t.String({ description: 'The Matrix room of the group.' }),
    },
    { examples: [{ id: '120363000000000001@g.us', name: 'Friends', kind: 'group', room: '!def:localhost' }] },
  ),
)
