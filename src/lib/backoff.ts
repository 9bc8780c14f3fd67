/** How long to wait before trying again. */

export interface BackoffOptions {
  /** Wait before the second attempt, in milliseconds. */
  baseMs: number
  /** No wait is longer than this, in milliseconds. */
  capMs: number
  /** Share of the wait that is random, 0 to 1: 0.25 gives between 75 % and 125 %. */
  jitter?: number
}

/**
 * Exponential backoff with jitter, so that many failures at once don't come back at once.
 * @param attempt how many attempts have failed so far, from 1
 * @param random a number in [0, 1), injectable for tests
 * @returns milliseconds to wait
 */
export function backoffMs(
  attempt: number,
  options: BackoffOptions,
  random: () => number = Math.random,
): number {
  const exponent = Math.min(Math.max(attempt, 1) - 1, 30)
  return jittered(Math.min(options.capMs, options.baseMs * 2 ** exponent), options.jitter ?? 0.25, random)
}

/** `ms` moved by at most `jitter` (a share, 0 to 1) of itself in either direction. */
export function jittered(ms: number, jitter: number, random: () => number = Math.random): number {
  return Math.round(ms * (1 - jitter + 2 * jitter * random()))
}
