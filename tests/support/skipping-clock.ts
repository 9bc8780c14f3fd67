/** A clock that runs and can skip ahead, so that real traffic needn't wait for retries. */
import { type Clock, systemClock } from '../../src/lib/clock.ts'

export class SkippingClock implements Clock {
  private aheadMs = 0
  private readonly sleepers = new Set<() => void>()

  now(): number {
    return systemClock.now() + this.aheadMs
  }

  steady(): number {
    return systemClock.steady() + this.aheadMs
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const wakeAt = this.now() + ms
    while (!signal?.aborted && this.now() < wakeAt) {
      const nap = new AbortController()
      const end = () => nap.abort()
      this.sleepers.add(end)
      signal?.addEventListener('abort', end, { once: true })
      await systemClock.sleep(wakeAt - this.now(), nap.signal)
      signal?.removeEventListener('abort', end)
      this.sleepers.delete(end)
    }
  }

  /** Wakes everybody who would sleep until then. */
  skip(ms: number): void {
    this.aheadMs += ms
    for (const wake of this.sleepers) wake()
  }
}
