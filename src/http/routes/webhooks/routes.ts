/** /api/v1/webhooks: where an identity's incoming messages are delivered. */
import { Elysia } from 'elysia'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import { recorderOf } from '../../plugins/idempotency.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import {
  CreateWebhook,
  headersOf,
  overlapOf,
  RotateSecret,
  UpdateWebhook,
  Webhook,
  WebhookCreated,
  WebhookId,
  WebhookList,
  WebhookPath,
} from './model.ts'

const DELETED = 'Webhook deleted successfully'

export function webhookRoutes({ tokens, webhooks }: Pick<HttpServices, 'tokens' | 'webhooks'>) {
  return new Elysia({ name: 'webhooks', prefix: '/api/v1/webhooks' })
    .use(bearerAuth(tokens))
    .post(
      '/',
      async ({ holder, body, set, request }) => {
        const webhook = await webhooks.create(
          holder.identity.id,
          { ...body, headers: headersOf(body.headers) },
          recorderOf(request, made => ({ status: 201, body: made })),
        )
        set.status = 201
        return webhook
      },
      {
        bearer: { body: 'json', records: true },
        body: CreateWebhook,
        detail: operation({
          id: 'createWebhook',
          summary: 'Add a webhook',
          description:
            "What happens on any device of the token's identity is delivered to it by HTTP POST: incoming messages, and what else `events` names. 409: the token has a webhook with this URL, or as many as it may have (`WEBHOOKS_MAX`, 100 by default).",
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 201: { description: 'The webhook', schema: WebhookCreated } },
          errors: [400, 401, 403, 409, 413, 415],
        }),
      },
    )
    .get('/', ({ holder }) => webhooks.list(holder.identity.id), {
      bearer: { body: 'none' },
      detail: operation({
        id: 'listWebhooks',
        summary: 'List webhooks',
        tag: 'Webhooks',
        security: 'bearerAuth',
        answers: { 200: { description: 'Oldest first', schema: WebhookList } },
        errors: [401, 403],
      }),
    })
    .get('/:id', ({ holder, params }) => webhooks.get(holder.identity.id, WebhookId.read(params.id)), {
      bearer: { body: 'none' },
      params: WebhookPath,
      detail: operation({
        id: 'getWebhook',
        summary: 'Get a webhook',
        tag: 'Webhooks',
        security: 'bearerAuth',
        answers: { 200: { description: 'As it is now', schema: Webhook } },
        errors: [400, 401, 403, 404],
      }),
    })
    .put(
      '/:id',
      ({ holder, params, body }) =>
        webhooks.update(holder.identity.id, WebhookId.read(params.id), {
          ...body,
          headers: headersOf(body.headers),
        }),
      {
        bearer: { body: 'json', nulls: ['events', 'headers'] },
        params: WebhookPath,
        body: UpdateWebhook,
        detail: operation({
          id: 'updateWebhook',
          summary: 'Update a webhook',
          description:
            'Fields are optional. Omit to keep the current value. `events: null` is the default again. `headers` take the place of all there were, null: of none. `active: true` also delivers what has waited.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 200: { description: 'As it is now', schema: Webhook } },
          errors: [400, 401, 403, 404, 409, 413, 415],
        }),
      },
    )
    .post(
      '/:id/rotate-secret',
      ({ holder, params, body, request }) =>
        webhooks.rotateSecret(
          holder.identity.id,
          WebhookId.read(params.id),
          overlapOf(body.overlap_s),
          recorderOf(request, changed => ({ status: 200, body: changed })),
        ),
      {
        bearer: { body: 'json', records: true },
        params: WebhookPath,
        body: RotateSecret,
        detail: operation({
          id: 'rotateWebhookSecret',
          summary: 'Give a webhook a new signing secret',
          description:
            'For a while deliveries are signed with both: `webhook-signature` then has two signatures, separated by a space (Standard Webhooks). While an old one still signs, only `overlap_s: 0` is taken, which ends all old ones at once; anything else is a 409.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 200: { description: 'The webhook, with its new secret', schema: WebhookCreated } },
          errors: [400, 401, 403, 404, 409, 413, 415],
        }),
      },
    )
    .delete(
      '/:id',
      async ({ holder, params }) => {
        await webhooks.remove(holder.identity.id, WebhookId.read(params.id))
        return { message: DELETED }
      },
      {
        bearer: { body: 'none' },
        params: WebhookPath,
        detail: operation({
          id: 'deleteWebhook',
          summary: 'Delete a webhook',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 200: messageAnswer('It is gone', DELETED) },
          errors: [400, 401, 403, 404],
        }),
      },
    )
}
