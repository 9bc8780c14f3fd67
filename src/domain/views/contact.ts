/** People and groups as clients see them. */
import { type Static, Type } from '@sinclair/typebox'
import { CHAT_KINDS } from '../states.ts'
import { pageModel } from './page.ts'
import { model, nullable, oneOf } from './schema.ts'

const contact = {
  id: Type.String({
    description: 'On the network; usable as `contact` of a message, as phone and matrix_id are.',
  }),
  name: Type.String(),
  phone: nullable(Type.String({ description: 'Digits.' })),
  native_ids: Type.Array(Type.String(), {
    description: 'All ids of the person on the network: on WhatsApp, number and hidden id (LID).',
  }),
  matrix_id: nullable(Type.String()),
  room: nullable(Type.String({ description: 'The Matrix room of the chat with them, if there is one.' })),
  identifiers: Type.Array(Type.String(), { description: 'Other addresses, as URIs.' }),
  avatar_url: nullable(
    Type.String({ description: 'A signed address of their picture that expires; null where none is known.' }),
  ),
}
const ANN = {
  id: '4915112345678',
  name: 'Ann',
  phone: '4915112345678',
  native_ids: ['4915112345678'],
  matrix_id: '@whatsapp_4915112345678:localhost',
  room: '!abc:localhost',
  identifiers: ['tel:+4915112345678'],
  avatar_url: null,
}

export const Contact = model('Contact', contact, { examples: [ANN] })

export const ContactPage = pageModel('ContactPage', Contact, 'By name.')

export const ContactCheck = model(
  'ContactCheck',
  {
    exists: Type.Boolean(),
    ...contact,
    id: nullable(contact.id),
    name: nullable(contact.name),
  },
  { examples: [{ exists: true, ...ANN }] },
)

/** More at once looks like a machine that reads the network's users out. */
export const MAX_CHECKED = 20

export const ContactChecks = model('ContactChecks', {
  data: Type.Array(
    model(
      'CheckedNumber',
      { number: Type.String({ description: 'As it was asked for.' }), ...ContactCheck.properties },
      { examples: [{ number: '+49 151 12345678', exists: true, ...ANN }] },
    ),
    { description: 'In the order of the question.' },
  ),
})

export const Group = model(
  'Group',
  {
    id: Type.String({ description: 'Usable as `group_url` of a message.' }),
    chat_id: Type.String({ description: 'The chat’s own id, which stays when it moves.' }),
    name: Type.String(),
    kind: oneOf(CHAT_KINDS),
    room: Type.String({ description: 'The Matrix room of the group.' }),
  },
  {
    examples: [
      {
        id: '120363000000000001@g.us',
        chat_id: 'chat_019b2f7c1a407c0ffee0c0ffee0c0ff',
        name: 'Friends',
        kind: 'group',
        room: '!def:localhost',
      },
    ],
  },
)

export type ContactView = Static<typeof Contact>
export type GroupView = Static<typeof Group>
export type CheckView = Static<typeof ContactCheck>
export type ChecksView = Static<typeof ContactChecks>
