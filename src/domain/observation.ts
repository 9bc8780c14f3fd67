/**
 * Observers hear of each request, try and batch; metrics and log lines hang on them. An observer
 * changes nothing, never throws and takes microseconds. Durations and ages are in milliseconds.
 */
import type { EventBatch } from './ports.ts'
import type { MessageStatus, StoredEventName } from './states.ts'

/** One try at handing a message to the homeserver. */
export interface SendAttempt {
  messageId: string
  identityId: string
  deviceRowId: string
  platform: string
  /** As the caller wrote it, so that it can be kept out of the log. */
  recipient: string
  /** Counts from 1. */
  attempt: number
  outcome: 'submitted' | 'retry' | 'held' | 'failed'
  /** Why it wasn't handed over; null when it was. */
  reason: string | null
  /** The Matrix event that it became; null when it became none. */
  eventId: string | null
  tookMs: number
  /** Since the message was accepted. */
  ageMs: number
}

/**
 * The first outcome of a message: its bridge reported, we waited long enough, or it was taken back
 * or expired while it waited.
 */
export interface MessageOutcome {
  messageId: string
  deviceRowId: string
  status: MessageStatus
  /** Since the message was accepted. */
  ageMs: number
}

/** One try at delivering an event to a webhook. */
export interface DeliveryAttempt {
  deliveryId: string
  identityId: string
  webhookId: number
  /** The Matrix event of a message, else an id of our own. */
  eventId: string
  event: StoredEventName
  deviceRowId: string
  /** Counts from 1. */
  attempt: number
  /** `retry`: in its place, the chat waits; `set_aside`: by itself; `dead`: never again. */
  outcome: 'succeeded' | 'retry' | 'set_aside' | 'dead'
  /** HTTP status; null when there was no answer. */
  status: number | null
  error: string | null
  tookMs: number
  /** Since the event was stored. */
  ageMs: number
}

/** One application-service transaction, one /sync response, or a look back for unpushed events. */
export interface ReceivedBatch {
  source: EventBatch['position']['kind']
  /** The homeserver's id of the transaction, or the user whose /sync it was. */
  origin: string
  outcome: 'stored' | 'repeat' | 'failed'
  events: number
  receipts: number
  /** Events stored for webhooks: the Matrix ids of the messages. */
  messages: readonly string[]
  tookMs: number
  /** From the homeserver's stamp of its newest event until it was stored; null when it has none. */
  lagMs: number | null
}

/** Purposes of wrong secrets; `matrix`: the homeserver's and bridges' calls. */
export type SecretKind = 'credential' | 'token' | 'metrics' | 'matrix'

/**
 * Why a request was refused with 429: too many wrong secrets, too little memory for all or for one
 * of them, too many requests at once on one connection, or another limit, such as the queue's.
 */
export type RefusalReason = 'authentication' | 'memory' | 'share_of_memory' | 'pipelining' | 'limit'

/** One answered HTTP request. */
export interface AnsweredRequest {
  method: string
  /** Such as /api/v1/messages/:id; a mount's prefix with `/*`; `none` where there is no route. */
  route: string
  status: number
  tookMs: number
}

export interface Observer {
  sendAttempted(attempt: SendAttempt): void
  messageSettled(outcome: MessageOutcome): void
  deliveryAttempted(attempt: DeliveryAttempt): void
  batchReceived(batch: ReceivedBatch): void
  requestAnswered(request: AnsweredRequest): void
  requestRefused(reason: RefusalReason): void
  /** A secret was wrong. What is refused before it is looked at is `requestRefused`. */
  authenticationFailed(kind: SecretKind): void
  /** One transaction of the database. @param writes that shared it */
  committed(writes: number, tookMs: number): void
}
