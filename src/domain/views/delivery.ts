/** A delivery as clients see it, and its tries. */
import { type Static, Type } from '@sinclair/typebox'
import { DELIVERY_STATUSES, STORED_EVENT_NAMES } from '../states.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

const ATTEMPT = { at: '2026-04-27T10:00:00Z', status: 200, error: null, latency_ms: 42, response: 'ok' }

const Attempt = model(
  'DeliveryAttempt',
  {
    at: timestamp(),
    status: nullable(Type.Integer({ description: 'HTTP status; null when there was no answer.' })),
    error: nullable(Type.String({ description: 'Null when it succeeded.' })),
    latency_ms: Type.Integer(),
    response: Type.String({
      description:
        'How the body of the answer begins, at most 1,024 bytes; `(compressed)` when it is compressed.',
    }),
  },
  { examples: [ATTEMPT] },
)

const FIELDS = {
  id: Type.String({ description: 'The webhook-id header, the same on every try.' }),
  webhook_id: Type.Integer(),
  event: oneOf(STORED_EVENT_NAMES),
  event_id: Type.String({
    description: 'For a message its Matrix event id, which is also the `id` of the payload.',
  }),
  status: oneOf(DELIVERY_STATUSES),
  attempt_count: Type.Integer(),
  attempts: Type.Array(Attempt, { description: 'Oldest first.' }),
  next_attempt_at: nullable(
    Type.String({ format: 'date-time', description: 'Null when it is over, or under way.' }),
  ),
  created_at: timestamp(),
  settled_at: nullable(Type.String({ format: 'date-time' })),
}

const EXAMPLE = {
  id: 'evt_0198c0ffee',
  webhook_id: 1,
  event: 'message.received',
  event_id: '$eCLf_5pzs8ZBhEs5ZojVRS0K3SBLf73cHs2q_Je4kfQ',
  status: 'succeeded',
  attempt_count: 1,
  attempts: [ATTEMPT],
  next_attempt_at: null,
  created_at: '2026-04-27T10:00:00Z',
  settled_at: '2026-04-27T10:00:00Z',
}

export const Delivery = model('Delivery', FIELDS, { examples: [EXAMPLE] })

export const DeliveryPage = model(
  'DeliveryPage',
  {
    deliveries: Type.Array(Delivery),
    next: nullable(Type.String({ description: 'What `before` takes to go on; null at the end.' })),
  },
  { examples: [{ deliveries: [EXAMPLE], next: null }] },
)

export const TestResult = model(
  'WebhookTestResult',
  { id: Type.String(), event: Type.Literal('webhook.test'), delivered: Type.Boolean(), attempt: Attempt },
  { examples: [{ id: 'evt_0198c0ffee', event: 'webhook.test', delivered: true, attempt: ATTEMPT }] },
)

export type AttemptView = Static<typeof Attempt>
export type DeliveryView = Static<typeof Delivery>
export type DeliveryPage = Static<typeof DeliveryPage>
/** The result of trying out a webhook. */
export type TestResult = Static<typeof TestResult>
