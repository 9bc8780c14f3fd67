/** A webhook as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { EVENT_NAMES, MESSAGE_EVENT_NAMES } from '../states.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

const FIELDS = {
  id: Type.Integer(),
  url: Type.String(),
  active: Type.Boolean(),
  events: Type.Array(oneOf([...EVENT_NAMES, '*'])),
  header_names: Type.Array(Type.String()),
  disabled_reason: nullable(Type.String({ description: 'Why the gateway switched it off.' })),
  failing_since: nullable(
    Type.String({ format: 'date-time', description: 'No try has succeeded since. Null while they do.' }),
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
