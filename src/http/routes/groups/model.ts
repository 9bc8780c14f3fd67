/** Bodies of the routes for groups and chats' settings. */
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { ACTION_EXAMPLE, Action } from '../../../domain/views/action.ts'
import { model } from '../../../domain/views/schema.ts'
import { MAX_PICTURE_BYTES } from '../../../modules/media/avatars.ts'
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

const CHANGED = {
  name: t.Optional(t.String({ minLength: 1, maxLength: 255, examples: ['Team'] })),
  topic: t.Optional(
    t.String({ maxLength: 4_096, description: 'Empty: none any more.', examples: ['Where we plan'] }),
  ),
  disappearing_s: t.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 31_536_000,
      description: 'Seconds after which messages disappear; 0: never. A network takes some times only.',
      examples: [0],
    }),
  ),
  muted: t.Optional(
    t.Boolean({ description: 'Kept by the gateway: the network is not told.', examples: [true] }),
  ),
  archived: t.Optional(t.Boolean({ description: 'As `muted`.', examples: [false] })),
}

export const ChatChange = model(
  'ChatChange',
  {
    ...CHANGED,
    avatar: t.Optional(t.Null({ description: 'Null: no picture any more. A form with the file sets it.' })),
  },
  { ...knownOnly, examples: [{ name: 'Team', muted: true }] },
)

/** For the document alone: the picture is streamed, not validated as a whole. */
export const ChatChangeForm = model(
  'ChatChangeForm',
  {
    ...CHANGED,
    avatar: t.Optional(
      t.String({
        format: 'binary',
        description: `A picture of up to ${MAX_PICTURE_BYTES / 1024 ** 2} MiB: JPEG, PNG, GIF or WebP.`,
      }),
    ),
  },
  { ...knownOnly, examples: [{ name: 'Team' }] },
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
