/** A message as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { SHOWN_MESSAGE_STATUSES } from '../states.ts'
import { ACTION_EXAMPLE, Action } from './action.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

const CHAT_ID = nullable(
  Type.String({ description: 'The chat’s own id; null as long as the chat is not known.' }),
)

export const AcceptedMessage = model(
  'AcceptedMessage',
  {
    id: Type.String(),
    to: Type.String({ description: 'The recipient as it was given.' }),
    file_name: Type.Optional(
      Type.String({
        description: 'The file that this message carries; absent without one, and for a `file_url`.',
      }),
    ),
    chat_id: CHAT_ID,
    status: oneOf(['queued', 'failed'], {
      description: '`failed`: this recipient’s chat does not take it, while another recipient’s does.',
    }),
    reason: Type.Optional(Type.String({ description: 'Why it has failed; absent otherwise.' })),
  },
  {
    examples: [{ id: 'msg_0198c0ffee', to: '1234567890', chat_id: 'chat_0198c0ffee', status: 'queued' }],
  },
)

export type AcceptedMessage = Static<typeof AcceptedMessage>

const EXAMPLE = {
  id: 'msg_0198c0ffee',
  platform: 'wa',
  device_id: '237123456789',
  to: '1234567890',
  chat_id: 'chat_0198c0ffee',
  status: 'delivered',
  reason: null,
  event_id: '$eCLf_5pzs8ZBhEs5ZojVRS0K3SBLf73cHs2q_Je4kfQ',
  metadata: { order: '4711' },
  due_at: null,
  send_at: null,
  expires_at: null,
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:03Z',
  deleted_at: null,
  actions: [ACTION_EXAMPLE],
}

const FIELDS_OF_VIEW = {
  id: Type.String(),
  platform: Type.String(),
  device_id: Type.String(),
  to: Type.String(),
  chat_id: CHAT_ID,
  status: oneOf(SHOWN_MESSAGE_STATUSES),
  reason: nullable(Type.String()),
  event_id: nullable(Type.String()),
  metadata: nullable(
    Type.Record(Type.String(), Type.String(), { description: 'As it was given with the message.' }),
  ),
  due_at: nullable(
    Type.String({
      format: 'date-time',
      description:
        'When it will be tried, while it is `queued`: an estimate by what waits before it and the pace of the device.',
    }),
  ),
  send_at: nullable(
    Type.String({ format: 'date-time', description: 'As given with the send: it is not sent before then.' }),
  ),
  expires_at: nullable(
    Type.String({
      format: 'date-time',
      description: 'When it fails if it has not been handed over by then.',
    }),
  ),
  created_at: timestamp(),
  updated_at: timestamp(),
  deleted_at: nullable(timestamp('When it was unsent: nobody sees it any more.')),
  actions: Type.Array(Action, { description: 'What was done to it, oldest first.' }),
}

export const Message = model('Message', FIELDS_OF_VIEW, { examples: [EXAMPLE] })
export type MessageView = Static<typeof Message>
