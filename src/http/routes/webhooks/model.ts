/** Bodies of the webhook routes. */
import { t } from 'elysia'
import { timestamp, wholeNumber } from '../../schemas.ts'

export const CreateWebhook = t.Object(
  { url: t.String({ minLength: 1, maxLength: 2_048, description: 'http:// or https://' }) },
  { examples: [{ url: 'https://your-server.com/webhook' }] },
)

export const UpdateWebhook = t.Object(
  {
    url: t.Optional(t.String({ minLength: 1, maxLength: 2_048 })),
    active: t.Optional(t.Boolean()),
  },
  { examples: [{ url: 'https://new-url.com/webhook', active: false }] },
)

const FIELDS = {
  id: t.Integer(),
  url: t.String(),
  active: t.Boolean(),
  created_at: timestamp(),
  updated_at: timestamp(),
}

const EXAMPLE = {
  id: 1,
  url: 'https://your-server.com/webhook',
  active: true,
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
