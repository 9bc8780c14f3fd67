/** Bodies of the message routes. */

import type { SchemaOptions } from '@sinclair/typebox'
import { t } from 'elysia'
import {
  MAX_EXPIRES_IN_S,
  MAX_FILE_URL_LENGTH,
  MAX_RECIPIENT_LENGTH,
  MAX_REPLY_ID_LENGTH,
  MAX_TEXT_BYTES,
} from '../../../domain/limits.ts'
import { AcceptedMessage, Message } from '../../../domain/views/message.ts'
import { ContactCard, Location, NewPoll, SEND_AS } from '../../../domain/views/message-content.ts'
import { model, oneOf } from '../../../domain/views/schema.ts'
import { AS_INTEGER, knownOnly, pageLimit } from '../../schemas.ts'
import { MAX_FILES } from '../../uploads/multipart.ts'

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

const writtenList = (options: SchemaOptions) => t.Union([t.String(), t.Array(t.String())], options)

const FIELDS = {
  platform: t.Optional(
    t.String({
      description: 'The network of the device. May be left out with `chat_id`.',
      examples: ['wa'],
    }),
  ),
  contact: t.Optional(
    writtenList({
      description: `Phone number or id of the recipient; several separated by commas, or as a list. ${EACH_AT_MOST}`,
      examples: ['1234567890'],
    }),
  ),
  group_url: t.Optional(
    writtenList({
      description: `Invite link or id of a group; several separated by commas, or as a list. ${EACH_AT_MOST} Takes priority over contact.`,
      ...UNFILLED,
    }),
  ),
  chat_id: t.Optional(
    t.String({
      maxLength: MAX_RECIPIENT_LENGTH,
      description:
        'Instead of `contact` and `group_url`: the id of a chat of the device (`chat_…`), or of its room.',
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
  file_url: t.Optional(
    t.String({
      maxLength: MAX_FILE_URL_LENGTH,
      description:
        'Instead of a file: where the gateway fetches it, once the send is answered. Without user and password, at a public address, with at most 3 redirects and within 30 seconds.',
      ...UNFILLED,
    }),
  ),
  file_base64: t.Optional(
    t.String({
      description:
        'Instead of a file: its bytes as base64, at most 8 MiB of them, with its name in `file_name`. Without “data:…,” before it.',
      ...UNFILLED,
    }),
  ),
  file_name: t.Optional(
    t.String({ description: 'The name of `file_base64`, with an extension.', ...UNFILLED }),
  ),
  format: t.Optional(
    oneOf(['plain', 'markdown'], {
      description: 'How `text` is written: as it is (default), or with Markdown, shown as the network can.',
      examples: ['plain'],
    }),
  ),
  mentions: t.Optional(
    t.Array(t.String({ minLength: 1, maxLength: MAX_RECIPIENT_LENGTH }), {
      maxItems: 100,
      description: 'Contacts, each of whom stands in `text` as `@` and what is written here.',
      examples: [[]],
    }),
  ),
  link_preview: t.Optional(
    t.Boolean({ description: 'false: no preview of a link in `text`.', examples: [true] }),
  ),
  as: t.Optional(
    oneOf(SEND_AS, {
      description:
        'How the file is shown; by default (`auto`) as the network shows such files best. `voice` takes Ogg with Opus alone.',
      examples: ['auto'],
    }),
  ),
  location: t.Optional(Location),
  contact_card: t.Optional(ContactCard),
  poll: t.Optional(NewPoll),
  metadata: t.Optional(
    t.Record(t.String(), t.String(), {
      description:
        'Your own notes, at most 2,048 bytes as JSON: they come back in the message and in its events.',
      examples: [{ order: '4711' }],
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
  send_at: t.Optional(
    t.String({
      description:
        'RFC 3339. It is sent then, behind what waits for the recipient already, and holds up nothing before. At most 30 days ahead; `expires_in` counts from it.',
      ...UNFILLED,
    }),
  ),
  expires_in: t.Optional(t.Number({ multipleOf: 1, ...EXPIRES_IN, [AS_INTEGER]: EXPIRES_IN })),
}

/** One of contact, group_url and chat_id, and text or one of the other parts. */
export const SendMessage = model('SendMessage', FIELDS, {
  examples: [{ contact: '1234567890', platform: 'wa', text: 'Hello from API' }],
})

/** Fields that are objects, and JSON in a form. */
export const OBJECTS = ['location', 'contact_card', 'poll', 'metadata'] as const

/** How each is written in a form. */
const WRITTEN: Record<(typeof OBJECTS)[number], string> = {
  location: '{"latitude": 52.516274, "longitude": 13.377722}',
  contact_card: '{"name": "Ada Lovelace", "phones": ["+4915112345678"]}',
  poll: '{"question": "When shall we meet?", "options": ["Monday", "Tuesday"]}',
  metadata: '{"order": "4711"}',
}

const asJson = (name: (typeof OBJECTS)[number]) =>
  t.String({
    description: `\`${name}\` of the JSON body, as JSON, such as \`${WRITTEN[name]}\`.`,
    ...UNFILLED,
  })

/** For the document alone: the upload is streamed, not validated as a whole. */
export const SendMessageForm = model('SendMessageForm', {
  ...FIELDS,
  ...Object.fromEntries(OBJECTS.map(name => [name, t.Optional(asJson(name))])),
  file: t.Optional(
    // A form has a list as several fields of one name, so one file is a list of one.
    t.Array(t.String({ format: 'binary' }), {
      maxItems: MAX_FILES,
      description: `Each file's name must have an extension. Up to ${MAX_FILES}: each is a message, and the text is the caption of the first.`,
    }),
  ),
})

export const MessageQueued = model(
  'MessagesQueued',
  { message: t.String(), messages: t.Array(AcceptedMessage) },
  {
    examples: [
      {
        message: 'Message queued successfully',
        messages: [{ id: 'msg_0198c0ffee', to: '1234567890', chat_id: 'chat_0198c0ffee', status: 'queued' }],
      },
    ],
  },
)

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
