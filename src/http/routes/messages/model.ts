/** Bodies of the message routes. */
import { t } from 'elysia'
import {
  MAX_EXPIRES_IN_S,
  MAX_RECIPIENT_LENGTH,
  MAX_REPLY_ID_LENGTH,
  MAX_TEXT_BYTES,
} from '../../../domain/limits.ts'
import { SHOWN_MESSAGE_STATUSES } from '../../../domain/states.ts'
import { AS_INTEGER, knownOnly, model, nullable, oneOf, pageLimit, timestamp } from '../../schemas.ts'

const EACH_AT_MOST = `Each has at most ${MAX_RECIPIENT_LENGTH} characters.`

const EXPIRES_IN = {
  minimum: 1,
  maximum: MAX_EXPIRES_IN_S,
  description:
    'Seconds. What has not been handed over by then fails, with a reason that begins with `expired`. By default a message waits as long as it takes.',
  examples: [3_600],
}

/** Swagger UI fills the fields of a form in, with "string" where there is no example. */
const UNFILLED = { examples: [''] }

const FIELDS = {
  platform: t.String({ description: 'The network of the device.', examples: ['wa'] }),
  contact: t.Optional(
    t.String({
      description: `Phone number or id of the recipient; several separated by commas. ${EACH_AT_MOST}`,
      examples: ['1234567890'],
    }),
  ),
  group_url: t.Optional(
    t.String({
      description: `Invite link or id of a group; several separated by commas. ${EACH_AT_MOST} Takes priority over contact.`,
      ...UNFILLED,
    }),
  ),
  text: t.Optional(
    t.String({
      maxLength: MAX_TEXT_BYTES,
      description: `With a file it is its caption. At most ${MAX_TEXT_BYTES} bytes of UTF-8, written as JSON: what JSON escapes counts as its escape.`,
      examples: ['Hello from API'],
    }),
  ),
  reply_id: t.Optional(
    t.String({
      maxLength: MAX_REPLY_ID_LENGTH,
      description:
        'The `id` of a webhook payload, or the `msg_…` that a send of the device was answered with. Until that is sent, the reply waits behind it.',
      ...UNFILLED,
    }),
  ),
  expires_in: t.Optional(t.Number({ multipleOf: 1, ...EXPIRES_IN, [AS_INTEGER]: EXPIRES_IN })),
}

/** At least one of contact and group_url, and at least one of text and file. */
export const SendMessage = model('SendMessage', FIELDS, {
  examples: [{ contact: '1234567890', platform: 'wa', text: 'Hello from API' }],
})

/** For the document alone: the upload is streamed, not validated as a whole. */
export const SendMessageForm = model('SendMessageForm', {
  ...FIELDS,
  file: t.Optional(t.String({ format: 'binary', description: 'Its name must have an extension.' })),
})

const AcceptedMessage = model('AcceptedMessage', {
  id: t.String(),
  to: t.String({ description: 'The recipient as it was given.' }),
  status: t.Literal('queued'),
})

export const MessageQueued = model(
  'MessagesQueued',
  { message: t.String(), messages: t.Array(AcceptedMessage) },
  {
    examples: [
      {
        message: 'Message queued successfully',
        messages: [{ id: 'msg_0198c0ffee', to: '1234567890', status: 'queued' }],
      },
    ],
  },
)

const EXAMPLE = {
  id: 'msg_0198c0ffee',
  platform: 'wa',
  device_id: '237123456789',
  to: '1234567890',
  status: 'delivered',
  reason: null,
  event_id: '$eCLf_5pzs8ZBhEs5ZojVRS0K3SBLf73cHs2q_Je4kfQ',
  due_at: null,
  expires_at: null,
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:03Z',
}

const FIELDS_OF_VIEW = {
  id: t.String(),
  platform: t.String(),
  device_id: t.String(),
  to: t.String(),
  status: oneOf(SHOWN_MESSAGE_STATUSES),
  reason: nullable(t.String()),
  event_id: nullable(t.String()),
  due_at: nullable(
    t.String({
      format: 'date-time',
      description:
        'When it will be tried, while it is `queued`: an estimate by what waits before it and the pace of the device.',
    }),
  ),
  expires_at: nullable(
    t.String({ format: 'date-time', description: 'When it fails if it has not been handed over by then.' }),
  ),
  created_at: timestamp(),
  updated_at: timestamp(),
}

export const Message = model('Message', FIELDS_OF_VIEW, { examples: [EXAMPLE] })
export const MessageList = t.Array(Message)

export const SendPath = t.Object({
  device_id: t.String({
    description: 'Phone digits, +E.164 or login id of the device.',
    examples: ['237123456789'],
  }),
})

export const MessagePath = t.Object({ id: t.String() })

export const MessagePage = t.Object(
  {
    limit: pageLimit,
    before: t.Optional(
      t.String({ description: 'The id of a message: only older ones. One that is not there: 404.' }),
    ),
  },
  knownOnly,
)
