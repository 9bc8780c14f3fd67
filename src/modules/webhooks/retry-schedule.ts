/**
 * When a delivery that failed is tried again, and in which place (docs/decisions/0003): the waits,
 * and the rule that picks one after each try.
 */
import type { Delivery } from '../../db/schema/index.ts'
import { jittered } from '../../lib/backoff.ts'
import type { WebhookAnswer } from '../../outbound/webhook-client.ts'
import type { Attempt, DeliverySettlement } from './outcome-repository.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/**
 * Waits in place. The chat waits too, since most failures pass within moments. How many there are
 * also says when an endpoint counts as down (TRIES_IN_PLACE).
 */
const WAITS_IN_PLACE_MS = [50, 300, SECOND, 5 * SECOND]
/**
 * Waits of a delivery that fails alone, beside its chat: three days in all. Then it is dead, and
 * can be replayed.
 */
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
/** After this many tries either the delivery fails alone, or its endpoint fails as a whole. */
export const TRIES_IN_PLACE = WAITS_IN_PLACE_MS.length + 1
/** A delivery whose endpoint accepts nothing is dead after the same time. */
const GIVE_UP_AFTER_MS = WAITS_ASIDE_MS.reduce((sum, ms) => sum + ms, 0)
const JITTER = 0.2

/**
 * True for the first tries of a delivery that its owner asked for again: it is made whatever its
 * webhook asks for now. Tries that an outage left uncounted have all of those in place behind them.
 */
export function isAskedForAgain({
  attempts,
  uncountedAttempts,
}: Pick<Delivery, 'attempts' | 'uncountedAttempts'>): boolean {
  return uncountedAttempts > 0 && attempts - uncountedAttempts < TRIES_IN_PLACE
}

/** Longest wait that an endpoint may ask for. */
const MAX_RETRY_AFTER_MS = 12 * HOUR
/** While nothing gets through, the wait grows with the length of the outage. */
const PROBE_WAIT = { share: 0.25, minMs: 300, maxMs: 10 * MINUTE }
/** HTTP status: the endpoint wants nothing more. Deliveries are kept until it is switched on. */
export const GONE = 410

/** Facts that decide about the next try. */
export interface TriedDelivery {
  /** Earlier tries that count. */
  triesBefore: number
  /** It has left its chat, and is tried by itself. */
  isAside: boolean
  /**
   * How long it has failed while its endpoint accepted nothing else, in milliseconds; null where
   * the endpoint accepted something.
   */
  failsWithAllForMs: number | null
}

/** @param at when the try ended, in milliseconds since the epoch */
export function judge(answer: WebhookAnswer, tried: TriedDelivery, at: number): DeliverySettlement {
  const { triesBefore, isAside, failsWithAllForMs } = tried
  const settled = { attempt: attemptOf(answer, at), dueAt: at, uncounted: 0 }
  if (answer.outcome === 'delivered') return { ...settled, outcome: 'succeeded' }
  const staysInDoubt = !isAside && triesBefore + 1 >= TRIES_IN_PLACE && failsWithAllForMs !== null
  const isOver = staysInDoubt
    ? failsWithAllForMs >= GIVE_UP_AFTER_MS
    : isAside && triesBefore >= WAITS_MS.length
  if (isOver) return { ...settled, outcome: 'dead' }
  // Tries during an outage don't count: the three days of a delivery begin when it leaves its chat.
  const uncounted = isAside ? 0 : Math.max(0, triesBefore + 1 - TRIES_IN_PLACE)
  const plannedMs = staysInDoubt
    ? probeWaitMs(failsWithAllForMs)
    : jittered(WAITS_MS[triesBefore - uncounted] ?? 0, JITTER)
  const dueAt = at + Math.max(plannedMs, askedWaitMs(answer))
  const staysInPlace = staysInDoubt || triesBefore + 1 < TRIES_IN_PLACE || answer.status === GONE
  return staysInPlace
    ? { ...settled, outcome: 'retry', dueAt }
    : { ...settled, outcome: 'set_aside', dueAt, uncounted }
}

/** @returns the line of the delivery log about a try that ended at `at` */
export function attemptOf(answer: WebhookAnswer, at: number): Attempt {
  const { status, latencyMs, response } = answer
  return { at, status, error: answer.outcome === 'refused' ? answer.error : null, latencyMs, response }
}

/** How long the endpoint asks for no requests (Retry-After), in milliseconds. */
export function askedWaitMs(answer: WebhookAnswer): number {
  const seconds = answer.outcome === 'refused' ? (answer.retryAfterS ?? 0) : 0
  return Math.min(seconds * SECOND, MAX_RETRY_AFTER_MS)
}

/**
 * @param failingForMs how long nothing has got through, in milliseconds
 * @returns milliseconds until the next try
 */
export function probeWaitMs(failingForMs: number): number {
  const { share, minMs, maxMs } = PROBE_WAIT
  return jittered(Math.min(maxMs, Math.max(minMs, share * failingForMs)), JITTER)
}
