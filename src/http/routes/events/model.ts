/** Query and bodies of the event feed. */
import { t } from 'elysia'
import { EVENT_NAMES, LIVE_EVENT_NAMES, NAMED_ONLY_EVENT_NAMES } from '../../../domain/states.ts'
import { DEVICE_EVENT_EXAMPLE, EventPayload } from '../../../domain/views/event.ts'
import { model, oneOf } from '../../../domain/views/schema.ts'
import { knownOnly, pageLimit, wholeNumber } from '../../schemas.ts'

const MAX_WAIT_S = 30
const Wait = wholeNumber('wait', {
  minimum: 0,
  maximum: MAX_WAIT_S,
  default: 0,
  description: 'How long to wait for an event when there is none, in seconds.',
})

export const FeedQuery = t.Object(
  {
    after: t.Optional(
      t.String({
        maxLength: 64,
        description:
          'The `id` of an event, or `next` of an answer: what came after it. `now`: what happens from now on. Left out: all that is kept.',
      }),
    ),
    limit: pageLimit,
    events: t.Optional(
      t.String({
        maxLength: 1_024,
        description: `Names of the events asked for, separated by commas, or \`*\` for all: ${EVENT_NAMES.join(', ')}. By default all but ${NAMED_ONLY_EVENT_NAMES.join(', ')}. A stream may also name ${LIVE_EVENT_NAMES.join(', ')}, whose events have no id and aren’t kept.`,
      }),
    ),
    wait: t.Optional(Wait.schema),
  },
  knownOnly,
)

export function waitMs(wait: string | undefined): number {
  return wait === undefined ? 0 : Wait.read(wait) * 1_000
}

export function namesOf(events: string | undefined): string[] | undefined {
  return events?.split(',').map(name => name.trim())
}

export const FeedPage = model(
  'EventPage',
  {
    events: t.Array(
      model('Event', {
        id: t.String({ description: 'Opaque, and the same whenever the event is read.' }),
        event: oneOf(EVENT_NAMES),
        payload: t.Unsafe<unknown>({
          ...EventPayload,
          description: 'Exactly the body that a webhook gets.',
        }),
      }),
      { description: 'Oldest first.' },
    ),
    next: t.String({ description: 'What `after` takes to go on.' }),
  },
  {
    examples: [
      {
        events: [
          {
            id: '3q2-7wAAAAAAAAAAAAAAAQ',
            event: 'device.connected',
            payload: DEVICE_EVENT_EXAMPLE,
          },
        ],
        next: '3q2-7wAAAAAAAAAAAAAAAQ',
      },
    ],
  },
)

export const EventStream = t.String({
  description: 'Server-sent events: the `data` of each is a `payload`.',
  examples: ['id: 3q2-7wAAAAAAAAAAAAAAAQ\nevent: device.connected\ndata: {…}\n\n'],
})
