/** Bodies of the routes for groups and chats' settings. */
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { ACTION_EXAMPLE, Action } from '../../../domain/views/action.ts'
import { model } from '../../../domain/views/schema.ts'
import { knownOnly } from '../../schemas.ts'

const MAX_PARTICIPANTS = 1_000

export const NewGroup = model(
  'NewGroup',
  {
    name: t.String({ minLength: 1, maxLength: 255 }),
    participants: t.Array(t.String({ minLength: 1, maxLength: 255 }), {
      minItems: 1,
      maxItems: MAX_PARTICIPANTS,
      description: 'Phone numbers, handles or ids of the network, as `contact` of a message takes them.',
    }),
  },
  { ...knownOnly, examples: [{ name: 'Team', participants: ['4915112345678', '4915187654321'] }] },
)

export const GroupLink = model(
  'GroupLink',
  { link: t.String({ minLength: 1, maxLength: 255, description: 'An invite link.' }) },
  { ...knownOnly, examples: [{ link: 'https://chat.whatsapp.com/invite123' }] },
)

export const Typing = model(
  'Typing',
  { typing: t.Boolean({ description: 'False: no longer. It ends by itself after 10 seconds.' }) },
  { ...knownOnly, examples: [{ typing: true }] },
)

export const Backfill = model(
  'Backfill',
  {
    limit: t.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        description: 'Batches are fetched until this many messages have come; by default 50.',
      }),
    ),
  },
  { ...knownOnly, examples: [{ limit: 100 }] },
)

const MAX_CHANGED = 100
const people = (description: string) =>
  t.Optional(
    t.Array(t.String({ minLength: 1, maxLength: 255 }), { minItems: 1, maxItems: MAX_CHANGED, description }),
  )

export const ChatChange = model(
  'ChatChange',
  {
    name: t.Optional(t.String({ minLength: 1, maxLength: 255 })),
    topic: t.Optional(t.String({ maxLength: 4_096, description: 'Empty: none any more.' })),
    disappearing_s: t.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 31_536_000,
        description: 'Seconds after which messages disappear; 0: never. A network takes some times only.',
      }),
    ),
    muted: t.Optional(t.Boolean({ description: 'Kept by the gateway: the network is not told.' })),
    archived: t.Optional(t.Boolean({ description: 'As `muted`.' })),
  },
  { ...knownOnly, examples: [{ name: 'Team', muted: true }] },
)

export const MembersChange = model(
  'MembersChange',
  {
    add: people('Phone numbers, handles or ids of the network.'),
    remove: people('As `add`, or the `matrix_id` of a member.'),
    promote: people('To be admins; as `remove`.'),
    demote: people('To be admins no longer; as `remove`.'),
  },
  { ...knownOnly, examples: [{ add: ['4915112345678'], remove: ['4915187654321'] }] },
)

export const Actions = model(
  'Actions',
  { data: t.Array(Action, { description: 'One for each change that the network has to take.' }) },
  { examples: [{ data: [{ ...ACTION_EXAMPLE, type: 'rename', message_id: null }] }] },
)
