/** Time as a dependency: code that waits or stamps takes a Clock, which tests move by hand. */
import { setTimeout } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since the Unix epoch, for stored and shown times. It may be set back. */
  now(): number
  /** Milliseconds from a fixed start that nobody can set: for durations within this process. */
  steady(): number
  /** Resolves after `ms` milliseconds, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  sleep: (ms, signal) => setTimeout(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}

/**
 * Waits for `work`, at most `ms` milliseconds; the work itself goes on.
 * @returns its result, or undefined when it takes longer
 */
export async function within<T>(
  clock: Pick<Clock, 'sleep'>,
  ms: number,
  work: Promise<T>,
): Promise<T | undefined> {
  const waiting = new AbortController()
  const late = clock.sleep(ms, waiting.signal).then(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    waiting.abort()
  }
}

/** Calls `task` after `ms` milliseconds. @returns a function that prevents it */
export function after(clock: Pick<Clock, 'sleep'>, ms: number, task: () => void): () => void {
  const waiting = new AbortController()
  void clock.sleep(ms, waiting.signal).then(() => waiting.signal.aborted || task())
  return () => waiting.abort()
}

/** RFC 3339 in UTC, without a fraction for whole seconds: `2026-04-27T10:00:00Z`. */
export function rfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('.000Z', 'Z')
}
