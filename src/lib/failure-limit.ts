/** Counts failures by key, so that who fails too often has to wait. Its memory is bounded, whatever keys are thought up. */
import type { Clock } from './clock.ts'

export interface FailureLimit {
  /** Milliseconds until `key` may try again; 0: it may now. */
  waitMs(key: string): number
  /** @returns whether this was the failure that shuts the key out */
  record(key: string): boolean
}

export interface FailureLimitOptions {
  /** Failures in one window after which the key has to wait for its end. */
  maxFailures: number
  windowMs: number
  /** When more keys than that fail in one window, the oldest are forgotten. */
  maxKeys?: number
  clock: Clock
}

/** A window begins with a key's first failure. */
export function createFailureLimit(options: FailureLimitOptions): FailureLimit {
  const { maxFailures, windowMs, maxKeys = 20_000, clock } = options
  // All windows are of one length, so the map's order, that of the windows' beginnings, is that of their ends.
  const windows = new Map<string, { failures: number; endsAt: number }>()

  function running(key: string, now: number) {
    const window = windows.get(key)
    // A clock that was set back would make the wait longer than a window.
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
