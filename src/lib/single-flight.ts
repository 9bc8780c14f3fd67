/** Does the same work once at a time: whoever asks for it meanwhile shares its outcome. */

export class SingleFlight<T = void> {
  private readonly underWay = new Map<string, Promise<T>>()

  get size(): number {
    return this.underWay.size
  }

  has(key: string): boolean {
    return this.underWay.has(key)
  }

  /** Begins `work`, unless work of this key is under way. @returns the outcome of either */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const shared = this.underWay.get(key)
    if (shared !== undefined) return shared
    const started = work().finally(() => this.underWay.delete(key))
    this.underWay.set(key, started)
    return started
  }

  /** Resolves when all work that is under way now has ended, whether it succeeds or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.underWay.values())
  }
}
