/** Bodies of the webhook routes. */

import { Value } from '@sinclair/typebox/value'
import { t } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import { EVENT_NAMES, MEDIA_MODES, MESSAGE_EVENT_NAMES } from '../../../domain/states.ts'
import { model, nullable, oneOf } from '../../../domain/views/schema.ts'
import { Webhook, WebhookFilters } from '../../../domain/views/webhook.ts'
import { AS_TEXTS, knownOnly, textsByName, wholeNumber, wholeNumberInBody } from '../../schemas.ts'
import { refuseUnknown } from '../../unknown-fields.ts'
import { explainIssue } from '../../validation.ts'

/** The names are checked by the use case, whose error names those there are. */
const Events = t.Union(
  [t.Array(t.String({ maxLength: 64 }), { maxItems: 64 }), t.String({ maxLength: 64 })],
  {
    description: `Names of the events it is to get, or \`*\` for all: ${EVENT_NAMES.join(', ')}. By default ${MESSAGE_EVENT_NAMES.join(', ')}.`,
  },
)

const Headers = textsByName('headers', {
  maxLength: 1_024,
  description:
    'Further headers of its requests, such as an API key: at most 20, of printable ASCII. They are kept encrypted and never shown; `header_names` has their names.',
})

/** @throws GatewayError bad_request */
export function headersOf(headers: unknown): Record<string, string> | null | undefined {
  return headers === undefined || headers === null ? headers : Headers.read(headers)
}

/** Not in the schema of the body, as Elysia drops names that it doesn't know. */
const Filters = t.Unknown({ [AS_TEXTS]: WebhookFilters })

/** @throws GatewayError bad_request naming the list */
export function filtersOf(filters: unknown): WebhookFilters | null | undefined {
  if (filters === undefined || filters === null) return filters
  const issue = Value.Errors(WebhookFilters, filters).First()
  if (issue) throw new GatewayError('bad_request', explainIssue({ ...issue, path: `/filters${issue.path}` }))
  refuseUnknown('field', Object.keys(filters), { ...WebhookFilters, ...knownOnly }, 'filters.')
  return filters as WebhookFilters
}

const Media = oneOf(MEDIA_MODES, {
  description:
    'How it gets files: `inline` (in base64, and by `media.url`), `url` (`media.content` is null), or `none` (neither). By default `inline`.',
})

export const CreateWebhook = model(
  'CreateWebhook',
  {
    url: t.String({ minLength: 1, maxLength: 2_048, description: 'http:// or https://' }),
    active: t.Optional(
      t.Boolean({ description: 'By default true. False: nothing is delivered until it is switched on.' }),
    ),
    events: t.Optional(Events),
    filters: t.Optional(Filters),
    media: t.Optional(Media),
    headers: t.Optional(Headers.schema),
  },
  {
    examples: [
      { url: 'https://your-server.example.com/webhook' },
      { url: 'https://your-server.example.com/status', events: ['message.status', 'device.logged_out'] },
    ],
  },
)

export const UpdateWebhook = model(
  'UpdateWebhook',
  {
    url: t.Optional(t.String({ minLength: 1, maxLength: 2_048 })),
    active: t.Optional(t.Boolean()),
    events: t.Optional(nullable(Events)),
    filters: t.Optional(Filters),
    media: t.Optional(Media),
    headers: t.Optional(Headers.schema),
  },
  { examples: [{ url: 'https://new.example.com/webhook', active: false }] },
)

const MAX_OVERLAP_S = 30 * 86_400

const Overlap = wholeNumberInBody('overlap_s', {
  minimum: 0,
  maximum: MAX_OVERLAP_S,
  description: 'Seconds for which the old secret signs as well. A day by default; 0: it ends at once.',
})

/** @throws GatewayError bad_request */
export function overlapOf(overlap: unknown): number | undefined {
  return overlap === undefined ? undefined : Overlap.read(overlap)
}

export const RotateSecret = model(
  'RotateWebhookSecret',
  { overlap_s: t.Optional(Overlap.schema) },
  { ...knownOnly, examples: [{ overlap_s: 3_600 }] },
)

export const WebhookList = t.Array(Webhook)

export const WebhookId = wholeNumber('id', { minimum: 1 })
export const WebhookPath = t.Object({ id: WebhookId.schema })
