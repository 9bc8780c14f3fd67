/** Time as a dependency: code that waits or stamps takes a Clock, which tests move by hand. */

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
  sleep: (ms, signal) =>
    new Promise(resolve => {
      if (signal?.aborted) return resolve()
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, ms)
      signal?.addEventListener('abort', finish, { once: true })
    }),
}

/** RFC 3339 in UTC, without a fraction for whole seconds: `2026-04-27T10:00:00Z`. */
export function rfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('.000Z', 'Z')
}
