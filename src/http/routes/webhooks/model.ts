/** Bodies of the webhook routes. */
import { t } from 'elysia'
import { EVENT_NAMES, MESSAGE_EVENT_NAMES } from '../../../domain/states.ts'
import { nullable, oneOf, timestamp, wholeNumber } from '../../schemas.ts'

/** The names are checked by the use case, whose error names those there are. */
const Events = t.Union(
  [t.Array(t.String({ maxLength: 64 }), { maxItems: 64 }), t.String({ maxLength: 64 })],
  {
    description: `Names of the events it is to get, or \`*\` for all: ${EVENT_NAMES.join(', ')}. By default ${MESSAGE_EVENT_NAMES.join(', ')}.`,
  },
)

export const CreateWebhook = t.Object(
  {
    url: t.String({ minLength: 1, maxLength: 2_048, description: 'http:// or https://' }),
    events: t.Optional(Events),
  },
  {
    examples: [
      { url: 'https://your-server.com/webhook' },
      { url: 'https://your-server.com/status', events: ['message.status', 'device.logged_out'] },
    ],
  },
)

export const UpdateWebhook = t.Object(
  {
    url: t.Optional(t.String({ minLength: 1, maxLength: 2_048 })),
    active: t.Optional(t.Boolean()),
    events: t.Optional(nullable(Events)),
  },
  { examples: [{ url: 'https://new-url.com/webhook', active: false }] },
)

const FIELDS = {
  id: t.Integer(),
  url: t.String(),
  active: t.Boolean(),
  events: t.Array(oneOf([...EVENT_NAMES, '*'])),
  created_at: timestamp(),
  updated_at: timestamp(),
}

const EXAMPLE = {
  id: 1,
  url: 'https://your-server.com/webhook',
  active: true,
  events: [...MESSAGE_EVENT_NAMES],
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:00Z',
}

export const Webhook = t.Object(FIELDS, { examples: [EXAMPLE] })

export const WebhookCreated = t.Object(
  {
    ...FIELDS,
    secret: t.String({ description: 'Signs the deliveries (Standard Webhooks). Shown this once.' }),
  },
  { examples: [{ ...EXAMPLE, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }] },
)

export const WebhookList = t.Array(Webhook, { examples: [[EXAMPLE]] })

export const WebhookId = wholeNumber('id', { minimum: 1 })
export const WebhookPath = t.Object({ id: WebhookId.schema })
