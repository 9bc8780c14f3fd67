/**
 * The stream: one counter for everything that syncs and appservices wait for, and its waiters.
 *
 * A write takes numbers, and a rollback loses them; gaps mean nothing. `position` only moves after
 * the commit, so a reader never holds a token for something that isn't on disk.
 */
import type { Clock } from '../lib/clock.ts'

export class Stream {
  private counter: number
  private committed: number
  private readonly waiters = new Map<string, Set<() => void>>()

  constructor(
    last: number,
    private readonly clock: Clock,
  ) {
    this.counter = last
    this.committed = last
  }

  /** The last position that is durable. */
  get position(): number {
    return this.committed
  }

  next(): number {
    return ++this.counter
  }

  /** Called after a commit that took numbers up to `position`. */
  advance(position: number): void {
    if (position > this.committed) this.committed = position
  }

  get hasWaiters(): boolean {
    return this.waiters.size > 0
  }

  /** Users with an open long poll. */
  waitingUsers(): Iterable<string> {
    return this.waiters.keys()
  }

  /** Resolves when something happens to the user, after `ms`, or when a signal aborts. */
  async wait(userId: string, ms: number, signals: readonly AbortSignal[]): Promise<void> {
    const controller = new AbortController()
    const wake = () => controller.abort()
    const ofUser = this.waiters.get(userId) ?? new Set()
    this.waiters.set(userId, ofUser)
    ofUser.add(wake)
    // AbortSignal.any would add a dependant to the server's own signal for every poll.
    for (const signal of signals) {
      signal.addEventListener('abort', wake, { once: true })
      if (signal.aborted) wake()
    }
    await this.clock.sleep(ms, controller.signal)
    for (const signal of signals) signal.removeEventListener('abort', wake)
    ofUser.delete(wake)
    if (ofUser.size === 0 && this.waiters.get(userId) === ofUser) this.waiters.delete(userId)
  }

  /** Ends the user's long polls. */
  wake(userId: string): void {
    const ofUser = this.waiters.get(userId)
    if (ofUser) for (const wake of [...ofUser]) wake()
  }
}
