/** Counts failures by key and makes a key that fails too often wait. Its memory is bounded. */
import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'

/**
 * A window begins with a key's first failure.
 * @param options.maxFailures in one window, after which the key waits for the window's end
 * @param options.maxKeys when more fail in one window, the oldest are forgotten
 */
export function createFailureLimit(options: {
  maxFailures: number
  windowMs: number
  maxKeys?: number
  clock: Pick<Clock, 'now'>
}) {
  const { maxFailures, windowMs, maxKeys = 20_000, clock } = options
  // Nothing is read by `get`, so the least recently used is the oldest.
  const windows = new LRUCache<string, { failures: number }>({
    max: maxKeys,
    ttl: windowMs,
    ttlResolution: 0,
    perf: clock,
  })

  /** After the clock was set back, a wait would be longer than a window. */
  function leftMs(key: string): number {
    const left = windows.getRemainingTTL(key)
    return left <= windowMs ? Math.max(0, left) : 0
  }

  return {
    /** Milliseconds until `key` may try again; 0: it may now. */
    waitMs(key: string): number {
      const failures = windows.size === 0 ? 0 : (windows.peek(key)?.failures ?? 0)
      return failures >= maxFailures ? leftMs(key) : 0
    },

    /** @returns true for the failure that shuts the key out */
    record(key: string): boolean {
      const window = leftMs(key) > 0 ? windows.peek(key) : undefined
      if (!window) windows.set(key, { failures: 1 })
      return (window ? ++window.failures : 1) === maxFailures
    },
  }
}
