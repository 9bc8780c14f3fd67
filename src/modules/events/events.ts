/**
 * Events: what happened to an identity's messages, devices and webhooks. `event-repository.ts`
 * writes each one with its deliveries to webhooks; `feed.ts` gives the same events to clients that
 * fetch them. This file has what both share, and the contract of the feed.
 */
import type { EventRow } from '../../db/schema/index.ts'
import type { LiveEvent } from '../../domain/events.ts'
import type { EventName } from '../../domain/states.ts'

/** An event as stored, its payload still JSON text: most events are passed on as they are. */
export type StoredEventRow = Pick<
  EventRow,
  'identityId' | 'eventId' | 'deviceRowId' | 'senderUserId' | 'mediaId'
> & { payload: string }

/** Facts about senders, for payloads that are made together. */
export type Senders = Map<string, Promise<{ isContact: boolean; phone: string | null; name: string }>>

/** Makes what clients get of a stored event, by the feed or at a webhook. */
export interface Payloads {
  /**
   * @param mayInline is asked before a file of so many bytes is read to be part of it, and may take
   * its time or reject; false leaves only the file's address, null not even that
   * @param senders is filled, so that each sender is looked up once
   * @returns JSON text
   * @throws GatewayError homeserver_unavailable when the file can't be fetched now
   */
  of(
    event: StoredEventRow,
    mayInline?: ((fileBytes: number) => Promise<boolean>) | null,
    senders?: Senders,
  ): Promise<string>
}

export interface FeedEvent {
  /** Opaque, and the same at every read; `after` takes it. Empty: it is told once, and not kept. */
  id: string
  event: EventName | LiveEvent['event']
  /** JSON text, the same as a webhook gets. */
  payload: string
}

export interface FeedPage {
  /** Oldest first. */
  events: FeedEvent[]
  /** `after` takes it to go on. It moves even when no event passes the filter. */
  next: string
}

export interface FeedRequest {
  /** Id of an event, or `now` for future events; undefined: all that are kept. */
  after?: string | undefined
  /** Names of the events asked for, `*` for all; undefined: all but those one has to name. */
  events?: readonly string[] | undefined
  /** True for a stream, which also gets events that aren't kept, if it names them. */
  isLive?: boolean
}

/** A client's place in the feed, which it must close. */
export interface FeedReader {
  /**
   * @param limit of events; large ones (texts, files) make it fewer
   * @param waitMs how long to wait for the first event when there is none
   * @returns an empty page when the time is over, or the gateway stops
   * @throws GatewayError gone (the next events are no longer kept), homeserver_unavailable (a file
   * can't be fetched now)
   */
  next(limit: number, waitMs: number): Promise<FeedPage>
  /** Ends a wait, too. */
  close(): void
}
