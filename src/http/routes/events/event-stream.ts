/**
 * Streams the feed as server-sent events (HTML Living Standard, "Server-sent events"). The client
 * pulls: the next events are read once it has taken those before, so that a slow one holds a page
 * in memory and no more.
 */
import { GatewayError } from '../../../domain/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/logger.ts'
import type { FeedEvent, FeedReader } from '../../../modules/events/events.ts'

export interface EventStreamOptions {
  reader: FeedReader
  /** @throws GatewayError forbidden when the token that opened the stream is no longer good */
  readmit(): Promise<unknown>
  /** Aborted when the stream is to end, since the gateway stops. */
  stopping: AbortSignal
  clock: Clock
  logger: Logger
}

/** How long a client waits before it connects again, in milliseconds. */
const RECONNECT_MS = 3_000
/** A sign of life at least this often: proxies close what is silent for a minute. */
const HEARTBEAT_MS = 15_000
/** How often it is looked whether the token is still good. */
const READMIT_MS = 2_000
/** Between tries while a file can't be fetched, or the database can't be read. */
const TROUBLE_PAUSE_MS = 2_000
/** Events read at a time. */
const PAGE = 20

export function createEventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { reader, readmit, stopping, clock, logger } = options
  const encoder = new TextEncoder()
  let waiting: FeedEvent[] = []
  let saidAt = clock.steady()
  let place = ''
  let isLeft = false
  let said = `retry: ${RECONNECT_MS}\n\n`

  /** @returns what is to be sent next; null when the stream is over */
  async function nextChunk(): Promise<string | null> {
    if (said !== '') return take()
    for (;;) {
      if (isLeft || stopping.aborted) return null
      // The token is checked before each event, so that nothing is sent to one that is gone.
      await readmit()
      const [event, ...rest] = waiting
      waiting = rest
      if (event) return eventLines(event)
      const page = await reader.next(PAGE, READMIT_MS).catch(pausing)
      waiting = page?.events ?? []
      const moved = page !== null && waiting.length === 0 && page.next !== place
      if (page) place = page.next
      if (waiting.length > 0 || clock.steady() - saidAt < HEARTBEAT_MS) continue
      // With the place as it is now, a client that reconnects doesn't go through events that its
      // filter has left out.
      return moved ? `: still here\nid: ${place}\n\n` : ': still here\n\n'
    }
  }

  function take(): string {
    const text = said
    said = ''
    return text
  }

  /** Waits for passing trouble to end; any other ends the stream. */
  async function pausing(error: unknown): Promise<null> {
    if (error instanceof GatewayError && error.code === 'gone') throw error
    logger.warn({ err: error }, 'a stream of events stands still')
    await clock.sleep(TROUBLE_PAUSE_MS, stopping)
    return null
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Whatever ends it, the client connects again, and is then told by a status what is wrong.
        const chunk = await nextChunk().catch(() => null)
        if (chunk === null) {
          reader.close()
          if (!isLeft) controller.close()
          return
        }
        saidAt = clock.steady()
        controller.enqueue(encoder.encode(chunk))
      },
      cancel() {
        isLeft = true
        reader.close()
      },
    },
    { highWaterMark: 0 },
  )
}

function eventLines({ id, event, payload }: FeedEvent): string {
  // One that isn't kept leaves the client's place as it is. JSON has no line breaks of its own.
  return `${id === '' ? '' : `id: ${id}\n`}event: ${event}\ndata: ${payload}\n\n`
}
