/**
 * A worker is one loop of the process (outbox, deliveries, cleanup, …). Tests call `tick()`; the supervisor calls `run()`.
 */
import type { Clock } from '../lib/clock.ts'

export interface Worker {
  readonly name: string
  /** Works until `signal` aborts, then finishes what it holds and returns. Rejects only when it can't go on by itself. */
  run(signal: AbortSignal): Promise<void>
}

export interface Rhythm {
  clock: Clock
  /** Wakes the worker before its time. */
  nudge?: Nudge
}

/**
 * A worker that does `tick`, and does it again `ms` later.
 * @param tick resolves to true when there is more to do: then it is done again at once
 */
export function every(
  name: string,
  ms: number,
  tick: (signal: AbortSignal) => Promise<boolean> | Promise<void>,
  { clock, nudge = new Nudge() }: Rhythm,
): Worker {
  return {
    name,
    async run(signal) {
      while (!signal.aborted) if ((await tick(signal)) !== true) await nudge.wait(clock, ms, signal)
    },
  }
}

/** Wakes a sleeping loop early: a shortcut over rows, which the loop would find anyway at its next poll. */
export class Nudge {
  private pending = false
  private wake: (() => void) | undefined

  /** There may be something to do now. */
  nudge(): void {
    this.pending = true
    this.wake?.()
  }

  /** Resolves at the next nudge (at once when one came since the last wait), after `ms`, or when `signal` aborts. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.pending && !signal.aborted) {
      const controller = new AbortController()
      const stop = () => controller.abort()
      signal.addEventListener('abort', stop, { once: true })
      this.wake = stop
      await clock.sleep(ms, controller.signal)
      this.wake = undefined
      signal.removeEventListener('abort', stop)
    }
    this.pending = false
  }
}
