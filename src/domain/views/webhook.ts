/** A webhook as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { CHAT_KINDS, EVENT_NAMES, MEDIA_MODES, MESSAGE_EVENT_NAMES, MESSAGE_KINDS } from '../states.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

const MAX_FILTER_VALUES = 100
const MAX_VALUE_LENGTH = 255

const values = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: MAX_VALUE_LENGTH }), {
      maxItems: MAX_FILTER_VALUES,
      description,
    }),
  )

/** Which events a webhook gets, beside their names. Each list leaves out what isn't in it. */
export const WebhookFilters = model('WebhookFilters', {
  devices: values('By `device_id`, on any platform.'),
  platforms: values('Such as `wa`.'),
  chats: values('By their ids (`chat_…`) or rooms; a chat that moves stays in the list.'),
  chat_kinds: Type.Optional(Type.Array(oneOf(CHAT_KINDS), { maxItems: CHAT_KINDS.length })),
  message_kinds: Type.Optional(Type.Array(oneOf(MESSAGE_KINDS), { maxItems: MESSAGE_KINDS.length })),
})
export type WebhookFilters = Static<typeof WebhookFilters>

const FIELDS = {
  id: Type.Integer(),
  url: Type.String(),
  active: Type.Boolean(),
  events: Type.Array(oneOf([...EVENT_NAMES, '*'])),
  filters: WebhookFilters,
  media: oneOf(MEDIA_MODES),
  header_names: Type.Array(Type.String()),
  disabled_reason: nullable(Type.String({ description: 'Why the gateway switched it off.' })),
  failing_since: nullable(
    Type.String({
      format: 'date-time',
      description: 'When the current run of failures began; null without one.',
    }),
  ),
  last_success_at: nullable(Type.String({ format: 'date-time', description: 'Exact to a minute.' })),
  last_error: nullable(Type.Object({ at: timestamp(), error: Type.String() })),
  old_secret_until: nullable(
    Type.String({ format: 'date-time', description: 'Until then the secret before this one signs as well.' }),
  ),
  created_at: timestamp(),
  updated_at: timestamp(),
}

const EXAMPLE = {
  id: 1,
  url: 'https://your-server.example.com/webhook',
  active: true,
  events: [...MESSAGE_EVENT_NAMES],
  filters: { platforms: ['wa'], chat_kinds: ['dm'] },
  media: 'inline' as const,
  header_names: [],
  disabled_reason: null,
  failing_since: null,
  last_success_at: '2026-04-27T10:00:00Z',
  last_error: null,
  old_secret_until: null,
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:00Z',
}

export const Webhook = model('Webhook', FIELDS, { examples: [EXAMPLE] })

export const WebhookWithSecret = model(
  'WebhookWithSecret',
  {
    ...FIELDS,
    secret: Type.String({ description: 'Signs the deliveries (Standard Webhooks). Shown this once.' }),
  },
  { examples: [{ ...EXAMPLE, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }] },
)

export type WebhookView = Static<typeof Webhook>
export type WebhookWithSecret = Static<typeof WebhookWithSecret>
