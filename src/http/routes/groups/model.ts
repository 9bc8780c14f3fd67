/** Bodies of the routes for groups and chats' settings. */
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
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
