/** Bodies of the routes about deliveries: the log, retries, replays and tests. */
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { DELIVERY_STATUSES } from '../../../domain/states.ts'
import { model, oneOf } from '../../../domain/views/schema.ts'
import { knownOnly, pageLimit } from '../../schemas.ts'

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
  { events: Type.Integer({ description: 'How many events are delivered again, or for the first time.' }) },
  { examples: [{ events: 12 }] },
)
