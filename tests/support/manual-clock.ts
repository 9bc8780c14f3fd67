/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/lib/clock.ts'

interface Sleeper {
  wakeAt: number
  wake(): void
}

export class ManualClock implements Clock {
  private sleepers: Sleeper[] = []
  private setBy = 0

  /** @param time milliseconds since the Unix epoch */
  constructor(private time = Date.UTC(2026, 3, 27, 10, 0, 0)) {}

  now(): number {
    return this.time + this.setBy
  }

  steady(): number {
    return this.time
  }

  /** Sets the wall clock ahead or back; no time goes by. */
  set(byMs: number): void {
    this.setBy += byMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const wake = () => {
        this.sleepers = this.sleepers.filter(other => other !== sleeper)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper: Sleeper = { wakeAt: this.time + ms, wake }
      this.sleepers.push(sleeper)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  /** Number of sleepers. */
  get sleeping(): number {
    return this.sleepers.length
  }

  /** Milliseconds until the first sleeper wakes; null when nobody sleeps. */
  get nextWakeInMs(): number | null {
    if (this.sleepers.length === 0) return null
    return Math.min(...this.sleepers.map(sleeper => sleeper.wakeAt)) - this.time
  }

  /** Moves on by `ms`, wakes sleepers in order, and lets each act before the next wakes. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    await settled()
    for (;;) {
      const next = this.sleepers
        .filter(sleeper => sleeper.wakeAt <= end)
        .sort((a, b) => a.wakeAt - b.wakeAt)[0]
      if (!next) break
      this.time = Math.max(this.time, next.wakeAt)
      next.wake()
      await settled()
    }
    this.time = end
  }
}

/** Runs what is ready: promises, and the group commit of the event loop's next turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise(resolve => setImmediate(resolve))
}
