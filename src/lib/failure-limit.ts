/** Counts failures by key and makes a key that fails too often wait. Its memory is bounded. */
import type { Clock } from './clock.ts'

export interface FailureLimit {
  /** Milliseconds until `key` may try again; 0: it may now. */
  waitMs(key: string): number
  /** @returns true for the failure that shuts the key out */
  record(key: string): boolean
}

export interface FailureLimitOptions {
  /** Failures in one window after which the key waits for the window's end. */
  maxFailures: number
  windowMs: number
  /** When more keys than this fail in one window, the oldest are forgotten. */
  maxKeys?: number
  clock: Clock
}

/** A window begins with a key's first failure. */
export function createFailureLimit(options: FailureLimitOptions): FailureLimit {
  const { maxFailures, windowMs, maxKeys = 20_000, clock } = options
  // All windows have the same length, so the map's insertion order is also the order of their ends.
  const windows = new Map<string, { failures: number; endsAt: number }>()

  function running(key: string, now: number) {
    const window = windows.get(key)
    // After the clock was set back, the wait would be longer than a window.
    return window && now < window.endsAt && window.endsAt - now <= windowMs ? window : undefined
  }

  function makeRoom(now: number): void {
    for (const [key, { endsAt }] of windows) {
      if (endsAt > now && windows.size < maxKeys) return
      windows.delete(key)
    }
  }

  return {
    waitMs(key) {
      if (windows.size === 0) return 0
      const now = clock.now()
      const window = running(key, now)
      return window && window.failures >= maxFailures ? window.endsAt - now : 0
    },
    record(key) {
      const now = clock.now()
      const window = running(key, now)
      if (window) {
        window.failures += 1
        return window.failures === maxFailures
      }
      windows.delete(key)
      makeRoom(now)
      windows.set(key, { failures: 1, endsAt: now + windowMs })
      return maxFailures === 1
    },
  }
}
