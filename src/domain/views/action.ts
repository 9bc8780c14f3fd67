/** Something done to a message or a chat, as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { ACT_TYPES, SHOWN_MESSAGE_STATUSES } from '../states.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

export const ACTION_EXAMPLE = {
  id: 'act_0198c0ffee',
  type: 'react' as const,
  message_id: 'msg_0198c0ffee',
  chat_id: 'chat_0198c0ffee',
  status: 'sent' as const,
  reason: null,
  created_at: '2026-04-27T10:00:05Z',
  updated_at: '2026-04-27T10:00:06Z',
}

export const Action = model(
  'Action',
  {
    id: Type.String(),
    type: oneOf(ACT_TYPES),
    message_id: nullable(
      Type.String({
        description:
          'The message: `msg_…` if it was sent from here, else its event id. Null: the chat itself.',
      }),
    ),
    chat_id: nullable(Type.String({ description: 'Null while the chat of a message is not known yet.' })),
    member: Type.Optional(
      Type.String({ description: 'Only of a change of a member: who, as the caller wrote it.' }),
    ),
    status: oneOf(SHOWN_MESSAGE_STATUSES, { description: '`sent`: the network has taken it.' }),
    reason: nullable(Type.String()),
    created_at: timestamp(),
    updated_at: timestamp(),
  },
  { examples: [ACTION_EXAMPLE] },
)
export type ActionView = Static<typeof Action>
