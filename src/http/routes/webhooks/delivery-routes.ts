/** Deliveries of webhooks, and delivering again: /api/v1/webhooks/{id}/…, /api/v1/deliveries. */
import { Delivery, DeliveryPage, TestResult } from '../../../domain/views/delivery.ts'
import { answer, bearerRoute } from '../../route.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import { DeliveryPath, DeliveryQuery, Nothing, ReplayStarted, ReplayWebhook } from './delivery-model.ts'
import { WebhookId, WebhookPath } from './model.ts'

export function deliveryRoutes({ deliveries, replays }: Pick<HttpServices, 'deliveries' | 'replays'>) {
  return [
    bearerRoute('GET', '/api/v1/webhooks/:id/deliveries', {
      id: 'listDeliveries',
      tag: 'Webhooks',
      summary: 'List deliveries',
      description:
        'What was delivered to a webhook, waits to be, or could not be, with every try. A page may have fewer than `limit` while `next` leads on.',
      params: WebhookPath,
      query: DeliveryQuery,
      answer: answer(200, 'Newest event first', DeliveryPage),
      errors: [404],
      run: ({ identityId, params, query }) =>
        deliveries.list(identityId, WebhookId.read(params.id), { ...query, limit: pageSize(query.limit) }),
    }),
    bearerRoute('GET', '/api/v1/deliveries/:id', {
      id: 'getDelivery',
      tag: 'Webhooks',
      summary: 'Get a delivery',
      params: DeliveryPath,
      answer: answer(200, 'Where it stands', Delivery),
      errors: [404],
      run: ({ identityId, params }) => deliveries.get(identityId, params.id),
    }),
    bearerRoute('POST', '/api/v1/deliveries/:id/retry', {
      id: 'retryDelivery',
      tag: 'Webhooks',
      summary: 'Retry a delivery',
      description:
        'Now, whatever became of it, under the same webhook-id. If that fails, its retries begin anew. While it is under way: 409.',
      params: DeliveryPath,
      body: Nothing,
      answer: answer(202, 'It is under way', Delivery),
      errors: [404],
      run: ({ identityId, params }) => deliveries.retry(identityId, params.id),
    }),
    bearerRoute('POST', '/api/v1/webhooks/:id/replay', {
      id: 'replayWebhook',
      tag: 'Webhooks',
      summary: 'Deliver past events again',
      description:
        'Those that the webhook asks for, in the order they happened in each chat, each under the webhook-id it had. It goes on after the answer, and after a restart; one at a time for each webhook.',
      params: WebhookPath,
      body: ReplayWebhook,
      answer: answer(202, 'It is under way', ReplayStarted),
      errors: [404],
      run: ({ identityId, params, body: { since, until, only_failed: onlyFailed } }) =>
        replays.start(identityId, WebhookId.read(params.id), { since, until, onlyFailed }),
    }),
    bearerRoute('POST', '/api/v1/webhooks/:id/test', {
      id: 'testWebhook',
      tag: 'Webhooks',
      summary: 'Send a test event',
      description:
        'A signed `webhook.test` is sent at once, also to a webhook that is switched off, and the answer tells what the endpoint said.',
      params: WebhookPath,
      body: Nothing,
      answer: answer(200, 'What the endpoint said', TestResult),
      errors: [404],
      run: ({ identityId, params }) => deliveries.test(identityId, WebhookId.read(params.id)),
    }),
  ]
}
