/** Runs one work at a time for each key, in order, whether earlier work succeeded or not. */

export class KeyedMutex {
  private readonly tails = new Map<string, Promise<unknown>>()
  /** Work that hasn't begun, shared by callers of `join` with the same key. */
  private readonly waiting = new Map<string, Promise<void>>()

  /** Runs `work` once all earlier work of this key is over. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve()
    const run = before.catch(() => undefined).then(work)
    this.tails.set(key, run)
    try {
      return await run
    } finally {
      if (this.tails.get(key) === run) this.tails.delete(key)
    }
  }

  /** Like `run`, but callers share work that hasn't begun: each run starts after they asked. */
  join(key: string, work: () => Promise<void>): Promise<void> {
    const shared = this.waiting.get(key)
    if (shared !== undefined) return shared
    const run = this.run(key, () => {
      this.waiting.delete(key)
      return work()
    })
    this.waiting.set(key, run)
    return run
  }
}
