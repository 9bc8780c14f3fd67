/**
 * One timer for many time limits, of which hardly any expires. A timer and an AbortSignal for each
 * request cost a fifth of accepting a message (docs/performance.md).
 */

export type TimeLimit = ReturnType<typeof createTimeLimit>

interface Running {
  /** By the steady clock, in milliseconds. */
  endsAt: number
  expired(): void
}

export function createTimeLimit(ms: number) {
  /** Oldest first, since all take equally long. */
  const running = new Set<Running>()
  let isArmed = false

  function arm(inMs: number): void {
    isArmed = true
    // A limit must not keep the process alive.
    setTimeout(expire, inMs).unref()
  }

  function expire(): void {
    isArmed = false
    const now = performance.now()
    for (const one of running) {
      if (one.endsAt > now) {
        arm(one.endsAt - now)
        return
      }
      running.delete(one)
      one.expired()
    }
  }

  return {
    ms,
    /**
     * @param expired called once when the time is over
     * @returns a function to call when the work ends in time
     */
    start(expired: () => void): () => void {
      const one = { endsAt: performance.now() + ms, expired }
      running.add(one)
      if (!isArmed) arm(ms)
      return () => void running.delete(one)
    },
  }
}
