/** /api/v1/events: what happened, for whoever fetches it: a page at a time, or as a stream. */
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/logger.ts'
import { answer, bearerRoute } from '../../route.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import { createEventStream } from './event-stream.ts'
import { EventStream, FeedPage, FeedQuery, namesOf, waitMs } from './model.ts'
import { pageResponse } from './page-response.ts'

export interface EventRoutesOptions extends Pick<HttpServices, 'tokens' | 'feed'> {
  clock: Clock
  logger: Logger
}

export function eventRoutes({ tokens, feed, clock, logger }: EventRoutesOptions) {
  return [
    bearerRoute('GET', '/api/v1/events', {
      id: 'readEvents',
      tag: 'Events',
      summary: 'Read events',
      description:
        'The events that webhooks get, in order and without gaps, for whoever fetches them: after the last one you have (`after`), waiting for the next if there is none (`wait`). With `Accept: text/event-stream` it is a stream of server-sent events, which goes on after `Last-Event-ID` when the client connects again. `message.status` is among them while any webhook asks for it, and else from the first time the feed is read until nobody has read it for 30 days.',
      query: FeedQuery,
      answer: answer(200, 'Oldest first', FeedPage, { also: { 'text/event-stream': EventStream } }),
      errors: [410, 502],
      run: async ({ identityId, token, query, request }) => {
        const { after, events, limit, wait } = query
        const [page, pageWaitMs] = [pageSize(limit), waitMs(wait)]
        const isStream = wantsStream(request)
        // A client that connects again names the last event it has; empty: none yet.
        const last = (isStream && request.headers.get('last-event-id')) || undefined
        const readmit = () => tokens.authenticate(token)
        const reader = await feed.open(identityId, {
          after: last ?? after,
          events: namesOf(events),
          isLive: isStream,
        })
        // Nobody waits for the answer any more.
        request.signal.addEventListener('abort', () => reader.close(), { once: true })
        if (request.signal.aborted) reader.close()
        if (isStream) {
          return streamed(createEventStream({ reader, readmit, stopping: feed.stopping, clock, logger }))
        }
        try {
          const answer = await reader.next(page, pageWaitMs)
          // The token may have been deleted while its owner waited.
          await readmit()
          return pageResponse(answer, { hasBody: request.method !== 'HEAD', done: () => reader.close() })
        } catch (error) {
          reader.close()
          throw error
        }
      },
    }),
  ]
}

function wantsStream({ method, headers }: Request): boolean {
  return method === 'GET' && (headers.get('accept') ?? '').includes('text/event-stream')
}

function streamed(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, {
    headers: {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      // Proxies would otherwise keep events back until there are many.
      'X-Accel-Buffering': 'no',
    },
  })
}
