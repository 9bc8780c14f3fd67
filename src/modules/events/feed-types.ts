/** What the event feed offers to the HTTP routes. */
import type { InboxEvent } from '../../db/schema/index.ts'
import type { WebhookPayload } from '../../domain/events.ts'
import type { EventName } from '../../domain/states.ts'

/** Makes what clients get of a stored event, by the feed or at a webhook. */
export interface Payloads {
  /**
   * @param mayInline is asked before a file of so many bytes is read to stand in it, and may take
   * its time or reject; false: only the file's address stands there
   * @throws GatewayError homeserver_unavailable when the file can't be fetched for now
   */
  of(event: InboxEvent, mayInline?: (fileBytes: number) => Promise<boolean>): Promise<WebhookPayload>
}

export interface FeedEvent {
  /** Opaque; `after` takes it. The same whenever the event is read. */
  id: string
  event: EventName
  /** What a webhook gets of it, to the letter: JSON, as text, so that it is written once and its size known. */
  payload: string
}

export interface FeedPage {
  /** Oldest first. */
  events: FeedEvent[]
  /** What `after` takes to go on; it moves even when no event passed the filter. */
  next: string
}

export interface FeedRequest {
  /** An id, `now` for what happens from now on; undefined: all that is kept. */
  after?: string | undefined
  /** Names of the events asked for; undefined: all. */
  events?: readonly string[] | undefined
}

/** Somebody's place in the feed. Whoever has it closes it. */
export interface FeedReader {
  /**
   * @param limit of events; large ones (texts, files) make it fewer
   * @param waitMs how long to wait for the first event when there is none
   * @returns an empty page when the time is over, or the gateway stops
   * @throws GatewayError gone (what comes next is no longer kept), homeserver_unavailable (a file can't be fetched for now)
   */
  next(limit: number, waitMs: number): Promise<FeedPage>
  /** Ends what waits. */
  close(): void
}

export interface Feed {
  /**
   * @throws GatewayError bad_request (`after` or an event's name), gone (older than what is kept; `details.oldest` is where to go on),
   *   too_many_requests (too many readers at a time)
   */
  open(identityId: string, request: FeedRequest): Promise<FeedReader>
  /** Aborted when the gateway stops: streams are to end. */
  readonly stopping: AbortSignal
}
