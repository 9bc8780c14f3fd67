/** Time as a dependency: everything that waits or stamps takes a Clock, so that tests can move it by hand. */

export interface Clock {
  /** Milliseconds since the Unix epoch: for what is stored or told. It may be set, and so go backward. */
  now(): number
  /** Milliseconds since some instant, which nobody can set: for how long something takes or is good for within this process. */
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

/** An instant in milliseconds as RFC 3339 in UTC, to the second when it is a whole one: `2026-04-27T10:00:00Z`. */
export function rfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('.000Z', 'Z')
}
