/** Bodies of the routes about deliveries: the log, retries, replays and tests. */
import { t } from 'elysia'
import { DELIVERY_STATUSES, STORED_EVENT_NAMES } from '../../../domain/states.ts'
import { integer, knownOnly, model, nullable, oneOf, pageLimit, timestamp } from '../../schemas.ts'

const ATTEMPT = { at: '2026-04-27T10:00:00Z', status: 200, error: null, latency_ms: 42, response: 'ok' }

const Attempt = model(
  'DeliveryAttempt',
  {
    at: timestamp(),
    status: nullable(integer({ description: 'HTTP status; null when there was no answer.' })),
    error: nullable(t.String({ description: 'Null when it succeeded.' })),
    latency_ms: integer(),
    response: t.String({
      description:
        'How the body of the answer begins, at most 1,024 bytes; `(compressed)` when it is compressed.',
    }),
  },
  { examples: [ATTEMPT] },
)

const FIELDS = {
  id: t.String({ description: 'The webhook-id header, the same on every try.' }),
  webhook_id: integer(),
  event: oneOf(STORED_EVENT_NAMES),
  event_id: t.String({
    description: 'Of a message its Matrix event id, which is also the `id` of the payload.',
  }),
  status: oneOf(DELIVERY_STATUSES),
  attempt_count: integer(),
  attempts: t.Array(Attempt, { description: 'Oldest first.' }),
  next_attempt_at: nullable(
    t.String({ format: 'date-time', description: 'Null when it is over, or under way.' }),
  ),
  created_at: timestamp(),
  settled_at: nullable(t.String({ format: 'date-time' })),
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
    deliveries: t.Array(Delivery),
    next: nullable(t.String({ description: 'What `before` takes to go on; null at the end.' })),
  },
  { examples: [{ deliveries: [EXAMPLE], next: null }] },
)

export const DeliveryPath = t.Object({ id: t.String() })

export const DeliveryQuery = t.Object(
  {
    limit: pageLimit,
    before: t.Optional(
      t.String({ description: 'The id of a delivery: only older ones. One that is not there: 404.' }),
    ),
    status: t.Optional(oneOf(DELIVERY_STATUSES)),
    event: t.Optional(t.String({ maxLength: 64, description: 'The name of an event.' })),
  },
  knownOnly,
)

/** A body in which nothing is said. */
export const Nothing = model('Nothing', {}, knownOnly)

export const ReplayWebhook = model(
  'ReplayWebhook',
  {
    since: t.String({
      description: 'RFC 3339: events received from then on, also from before there was the webhook.',
    }),
    until: t.Optional(t.String({ description: 'RFC 3339: and before then. By default now.' })),
    only_failed: t.Optional(t.Boolean({ description: 'Only what was tried and has not succeeded.' })),
  },
  { ...knownOnly, examples: [{ since: '2026-04-27T10:00:00Z' }] },
)

export const ReplayStarted = model(
  'ReplayStarted',
  { events: integer({ description: 'How many events are delivered again, or for the first time.' }) },
  { examples: [{ events: 12 }] },
)

export const TestResult = model(
  'WebhookTestResult',
  { id: t.String(), event: t.Literal('webhook.test'), delivered: t.Boolean(), attempt: Attempt },
  { examples: [{ id: 'evt_0198c0ffee', event: 'webhook.test', delivered: true, attempt: ATTEMPT }] },
)
