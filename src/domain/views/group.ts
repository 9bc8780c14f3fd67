/** Groups and who is in them, as clients see them. */
import { type Static, Type } from '@sinclair/typebox'
import { Chat } from './chat.ts'
import { Contact } from './contact.ts'
import { model, oneOf } from './schema.ts'

const NotAdded = model('NotAdded', {
  id: Type.String({ description: 'On the network.' }),
  name: Type.String(),
  reason: Type.String({ description: 'In the network’s words.' }),
})
export type NotAddedView = Static<typeof NotAdded>

export const CreatedGroup = model(
  'CreatedGroup',
  {
    ...Chat.properties,
    not_added: Type.Array(NotAdded, {
      description: 'Participants whom the network didn’t let in. The group is there without them.',
    }),
  },
  { examples: [{ ...Chat.examples[0], not_added: [] }] },
)

export const Member = model(
  'Member',
  {
    ...Contact.properties,
    role: oneOf(['member', 'admin', 'invited']),
    is_self: Type.Boolean({ description: 'True for the account itself.' }),
  },
  { examples: [{ ...Contact.examples[0], role: 'admin', is_self: false }] },
)
export type MemberView = Static<typeof Member>

export const Members = model(
  'Members',
  { data: Type.Array(Member, { description: 'By name, the account itself first.' }) },
  { examples: [{ data: [{ ...Contact.examples[0], role: 'admin', is_self: false }] }] },
)
