/** What was delivered to a webhook, and delivering again: /api/v1/webhooks/{id}/…, /api/v1/deliveries. */
import { Elysia } from 'elysia'
import { listResponse } from '../../large-answers.ts'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import {
  Delivery,
  DeliveryPage,
  DeliveryPath,
  DeliveryQuery,
  Nothing,
  ReplayStarted,
  ReplayWebhook,
  TestResult,
} from './delivery-model.ts'
import { WebhookId, WebhookPath } from './model.ts'

type DeliveryServices = Pick<HttpServices, 'tokens' | 'deliveries' | 'replays'>

export function deliveryRoutes({ tokens, deliveries, replays }: DeliveryServices) {
  return new Elysia({ name: 'deliveries', prefix: '/api/v1' })
    .use(bearerAuth(tokens))
    .get(
      '/webhooks/:id/deliveries',
      async ({ request, holder, params, query }) => {
        const { id } = holder.identity
        const wanted = { ...query, limit: pageSize(query.limit) }
        return listResponse(request, id, await deliveries.list(id, WebhookId.read(params.id), wanted))
      },
      {
        bearer: { body: 'none' },
        params: WebhookPath,
        query: DeliveryQuery,
        detail: operation({
          id: 'listDeliveries',
          summary: 'List deliveries',
          description:
            'What was delivered to a webhook, is still to be, or never could be, with every try. A page may have fewer than `limit` while `next` leads on.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 200: { description: 'Newest event first', schema: DeliveryPage } },
          errors: [400, 401, 403, 404],
        }),
      },
    )
    .get('/deliveries/:id', ({ holder, params }) => deliveries.get(holder.identity.id, params.id), {
      bearer: { body: 'none' },
      params: DeliveryPath,
      detail: operation({
        id: 'getDelivery',
        summary: 'Get a delivery',
        tag: 'Webhooks',
        security: 'bearerAuth',
        answers: { 200: { description: 'Where it stands', schema: Delivery } },
        errors: [401, 403, 404],
      }),
    })
    .post(
      '/deliveries/:id/retry',
      async ({ holder, params, set }) => {
        set.status = 202
        return deliveries.retry(holder.identity.id, params.id)
      },
      {
        bearer: { body: 'json' },
        params: DeliveryPath,
        body: Nothing,
        detail: operation({
          id: 'retryDelivery',
          summary: 'Retry a delivery',
          description:
            'Now, whatever became of it, under the same webhook-id. If that fails, its retries begin anew. While it is under way: 409.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 202: { description: 'It is under way', schema: Delivery } },
          errors: [400, 401, 403, 404, 409, 413, 415],
        }),
      },
    )
    .post(
      '/webhooks/:id/replay',
      async ({ holder, params, body, set }) => {
        const { only_failed: onlyFailed, since, until } = body
        set.status = 202
        return replays.start(holder.identity.id, WebhookId.read(params.id), { since, until, onlyFailed })
      },
      {
        bearer: { body: 'json' },
        params: WebhookPath,
        body: ReplayWebhook,
        detail: operation({
          id: 'replayWebhook',
          summary: 'Deliver past events again',
          description:
            'Those that the webhook asks for, in the order they happened in each chat, each under the webhook-id it had. It goes on behind the answer, and after a restart; one at a time for each webhook.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 202: { description: 'It is under way', schema: ReplayStarted } },
          errors: [400, 401, 403, 404, 409, 413, 415],
        }),
      },
    )
    .post(
      '/webhooks/:id/test',
      ({ holder, params }) => deliveries.test(holder.identity.id, WebhookId.read(params.id)),
      {
        bearer: { body: 'json' },
        params: WebhookPath,
        body: Nothing,
        detail: operation({
          id: 'testWebhook',
          summary: 'Send a test event',
          description:
            'A signed `webhook.test` is sent at once, also to a webhook that is switched off, and the answer tells what the endpoint said.',
          tag: 'Webhooks',
          security: 'bearerAuth',
          answers: { 200: { description: 'What the endpoint said', schema: TestResult } },
          errors: [400, 401, 403, 404, 413, 415],
        }),
      },
    )
}
