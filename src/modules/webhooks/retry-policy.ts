/** What a try comes to: whether it is tried again, when, and in which place. */
import { jittered } from '../../lib/backoff.ts'
import type { WebhookAnswer } from '../../webhooks/client.ts'
import type { DeliverySettlement } from './queue-repository.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Waits between the tries of a delivery: three days in all. Then it is dead, and can be replayed. */
const RETRY_WAITS_MS = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
const JITTER = 0.2
/** An endpoint may ask for a longer wait, but not for more than this. */
const MAX_RETRY_AFTER_MS = 12 * HOUR
/** After this many tries a failing delivery leaves its lane, so that it doesn't hold up the chat for days. */
const TRIES_IN_PLACE = 2
/** The endpoint wants nothing more: what waits is kept in case its webhook is switched on again. */
export const GONE = 410

/** @param dueAt of what is tried again; otherwise the time of the try */
export interface Verdict {
  settlement: DeliverySettlement
  dueAt: number
}

/**
 * @param triesBefore those that count
 * @param at when the try was over, in milliseconds since the epoch
 */
export function judge(answer: WebhookAnswer, triesBefore: number, at: number): Verdict {
  const { status, latencyMs, response } = answer
  const error = answer.outcome === 'refused' ? answer.error : null
  const attempt = { at, status, error, latencyMs, response }
  if (answer.outcome === 'delivered') return { settlement: { outcome: 'succeeded', attempt }, dueAt: at }
  const tries = triesBefore + 1
  if (tries > RETRY_WAITS_MS.length) return { settlement: { outcome: 'dead', attempt }, dueAt: at }
  const dueAt = at + waitMs(answer.retryAfterS, triesBefore)
  if (tries < TRIES_IN_PLACE || status === GONE) return { settlement: { outcome: 'retry', attempt }, dueAt }
  return { settlement: { outcome: 'set_aside', attempt, dueAt }, dueAt }
}

function waitMs(retryAfterS: number | null, triesBefore: number): number {
  const planned = jittered(RETRY_WAITS_MS[triesBefore] ?? 0, JITTER)
  return Math.max(planned, Math.min((retryAfterS ?? 0) * SECOND, MAX_RETRY_AFTER_MS))
}
