/** A clock that runs as time does and can be moved ahead: for tests of real traffic that don't want to wait for retries and time-outs. */
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

  /** Who sleeps until then wakes now. */
  skip(ms: number): void {
    this.aheadMs += ms
    for (const wake of this.sleepers) wake()
  }
}
