/** Decides after a try whether a delivery is tried again, when, and in which place (docs/decisions/0003). */
import { jittered } from '../../lib/backoff.ts'
import type { WebhookAnswer } from '../../webhooks/client.ts'
import type { DeliverySettlement } from './queue-repository.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Waits in place: the chat waits, too, as most failures pass within moments. */
const WAITS_IN_PLACE_MS = [50, 300, SECOND, 5 * SECOND]
/** Waits of a delivery that fails by itself, beside its chat: three days in all. Then it is dead, and can be replayed. */
const WAITS_ASIDE_MS = [
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
const WAITS_MS = [...WAITS_IN_PLACE_MS, ...WAITS_ASIDE_MS]
/** After this many tries it is asked whether the delivery fails alone, or its endpoint as a whole. */
export const TRIES_IN_PLACE = WAITS_IN_PLACE_MS.length + 1
/** A delivery whose endpoint takes nothing is dead after the same time. */
const GIVE_UP_AFTER_MS = WAITS_ASIDE_MS.reduce((sum, ms) => sum + ms, 0)
const JITTER = 0.2
/** An endpoint may ask for a longer wait, but not for more than this. */
const MAX_RETRY_AFTER_MS = 12 * HOUR
/** While nothing gets through, the next try comes after a part of the time that it has been so, within these bounds. */
const PROBE_WAIT = { share: 0.25, minMs: 300, maxMs: 10 * MINUTE }
/** The endpoint wants nothing more: what waits is kept in case its webhook is switched on again. */
export const GONE = 410

/** Known facts of a delivery that was tried. */
export interface TriedDelivery {
  /** Those that count. */
  triesBefore: number
  /** It has left its chat, and is tried by itself. */
  isAside: boolean
  /** How long it has failed without its endpoint taking anything else, in milliseconds; null where that took something. */
  failsWithAllForMs: number | null
}

/** @param dueAt of what is tried again; otherwise the time of the try */
export interface Verdict {
  settlement: DeliverySettlement
  dueAt: number
}

/** @param at when the try was over, in milliseconds since the epoch */
export function judge(answer: WebhookAnswer, tried: TriedDelivery, at: number): Verdict {
  const { status, latencyMs, response } = answer
  const { triesBefore, isAside, failsWithAllForMs } = tried
  const error = answer.outcome === 'refused' ? answer.error : null
  const attempt = { at, status, error, latencyMs, response }
  if (answer.outcome === 'delivered') return { settlement: { outcome: 'succeeded', attempt }, dueAt: at }
  const staysInDoubt = !isAside && triesBefore + 1 >= TRIES_IN_PLACE && failsWithAllForMs !== null
  const isOver = staysInDoubt
    ? failsWithAllForMs >= GIVE_UP_AFTER_MS
    : isAside && triesBefore >= WAITS_MS.length
  if (isOver) return { settlement: { outcome: 'dead', attempt }, dueAt: at }
  // A delivery that leaves its chat may have been tried often while its endpoint took nothing: its days begin then.
  const uncounted = isAside ? 0 : Math.max(0, triesBefore + 1 - TRIES_IN_PLACE)
  const plannedMs = staysInDoubt
    ? probeWaitMs(failsWithAllForMs)
    : jittered(WAITS_MS[triesBefore - uncounted] ?? 0, JITTER)
  const dueAt = at + Math.max(plannedMs, askedWaitMs(answer))
  if (staysInDoubt || triesBefore + 1 < TRIES_IN_PLACE || status === GONE)
    return { settlement: { outcome: 'retry', attempt }, dueAt }
  return { settlement: { outcome: 'set_aside', attempt, dueAt, uncounted }, dueAt }
}

/** How long the endpoint asks to be left alone, in milliseconds. */
export function askedWaitMs(answer: WebhookAnswer): number {
  const seconds = answer.outcome === 'refused' ? (answer.retryAfterS ?? 0) : 0
  return Math.min(seconds * SECOND, MAX_RETRY_AFTER_MS)
}

/** @param failingForMs how long nothing has got through. @returns milliseconds until the next try */
export function probeWaitMs(failingForMs: number): number {
  const { share, minMs, maxMs } = PROBE_WAIT
  return jittered(Math.min(maxMs, Math.max(minMs, share * failingForMs)), JITTER)
}
