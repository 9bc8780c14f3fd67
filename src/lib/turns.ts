/** One thing at a time for each key: later work waits for earlier work of the same key, whether that succeeded or not. */

export class Turns {
  private readonly tails = new Map<string, Promise<unknown>>()
  /** What waits for its turn and may be shared by whoever asks for the same meanwhile. */
  private readonly waiting = new Map<string, Promise<void>>()

  /** Does `work` once everything asked for before under this key is over. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve()
    const run = before.catch(() => undefined).then(work)
    this.tails.set(key, run)
    try {
      return await run
    } finally {
      if (this.tails.get(key) === run) this.tails.delete(key)
    }
  }

  /** The same, but callers share work that hasn't begun: each gets a run that starts after it asked. */
  join(key: string, work: () => Promise<void>): Promise<void> {
    const shared = this.waiting.get(key)
    if (shared !== undefined) return shared
    const run = this.take(key, () => {
      this.waiting.delete(key)
      return work()
    })
    this.waiting.set(key, run)
    return run
  }
}
