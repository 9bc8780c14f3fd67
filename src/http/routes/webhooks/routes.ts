/** /api/v1/webhooks: where an identity's incoming messages are delivered. */

import { Webhook, WebhookWithSecret } from '../../../domain/views/webhook.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import {
  CreateWebhook,
  filtersOf,
  headersOf,
  overlapOf,
  RotateSecret,
  UpdateWebhook,
  WebhookId,
  WebhookList,
  WebhookPath,
} from './model.ts'

const DELETED = 'Webhook deleted successfully'

export function webhookRoutes({ webhooks }: Pick<HttpServices, 'webhooks'>) {
  return [
    bearerRoute('POST', '/api/v1/webhooks', {
      id: 'createWebhook',
      tag: 'Webhooks',
      summary: 'Add a webhook',
      description:
        "What happens on any device of the token's identity is delivered to it by HTTP POST: incoming messages, and what else `events` names. 409: the token has a webhook with this URL, or as many as it may have (`WEBHOOKS_MAX`, 100 by default).",
      body: CreateWebhook,
      records: true,
      answer: answer(201, 'The webhook', WebhookWithSecret),
      run: ({ identityId, body, recorder }) =>
        webhooks.create(
          identityId,
          { ...body, filters: filtersOf(body.filters), headers: headersOf(body.headers) },
          recorder(made => made),
        ),
    }),
    bearerRoute('GET', '/api/v1/webhooks', {
      id: 'listWebhooks',
      tag: 'Webhooks',
      summary: 'List webhooks',
      answer: answer(200, 'Oldest first', WebhookList),
      run: ({ identityId }) => webhooks.list(identityId),
    }),
    bearerRoute('GET', '/api/v1/webhooks/:id', {
      id: 'getWebhook',
      tag: 'Webhooks',
      summary: 'Get a webhook',
      params: WebhookPath,
      answer: answer(200, 'As it is now', Webhook),
      errors: [404],
      run: ({ identityId, params }) => webhooks.get(identityId, WebhookId.read(params.id)),
    }),
    bearerRoute('PUT', '/api/v1/webhooks/:id', {
      id: 'updateWebhook',
      tag: 'Webhooks',
      summary: 'Update a webhook',
      description:
        'Fields are optional. Omit to keep the current value. `events: null` is the default again. `filters` and `headers` replace all there were; null removes them. `active: true` also delivers what has waited.',
      params: WebhookPath,
      body: UpdateWebhook,
      nulls: ['events', 'filters', 'headers'],
      answer: answer(200, 'As it is now', Webhook),
      errors: [404, 409],
      run: ({ identityId, params, body }) =>
        webhooks.update(identityId, WebhookId.read(params.id), {
          ...body,
          filters: filtersOf(body.filters),
          headers: headersOf(body.headers),
        }),
    }),
    bearerRoute('POST', '/api/v1/webhooks/:id/rotate-secret', {
      id: 'rotateWebhookSecret',
      tag: 'Webhooks',
      summary: 'Give a webhook a new signing secret',
      description:
        'For a while deliveries are signed with both: `webhook-signature` then has two signatures, separated by a space (Standard Webhooks). While an old one still signs, only `overlap_s: 0` is taken, which ends all old ones at once; anything else is a 409.',
      params: WebhookPath,
      body: RotateSecret,
      records: true,
      answer: answer(200, 'The webhook, with its new secret', WebhookWithSecret),
      errors: [404],
      run: ({ identityId, params, body, recorder }) =>
        webhooks.rotateSecret(
          identityId,
          WebhookId.read(params.id),
          overlapOf(body.overlap_s),
          recorder(changed => changed),
        ),
    }),
    bearerRoute('DELETE', '/api/v1/webhooks/:id', {
      id: 'deleteWebhook',
      tag: 'Webhooks',
      summary: 'Delete a webhook',
      params: WebhookPath,
      answer: messageAnswer('It is gone', DELETED),
      errors: [404],
      run: async ({ identityId, params }) => {
        await webhooks.remove(identityId, WebhookId.read(params.id))
        return { message: DELETED }
      },
    }),
  ]
}
