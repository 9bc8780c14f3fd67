/** A worker is one loop of the process. Tests call `tick()`; the supervisor calls `run()`. */
import type { Clock } from '../lib/clock.ts'

export interface Worker {
  readonly name: string
  /** Works until the abort, finishes its work and returns. Rejects only if it can't go on. */
  run(signal: AbortSignal): Promise<void>
}

export interface Rhythm {
  clock: Clock
  /** Wakes the worker before its time. */
  nudge?: Nudge
  /** Done when the worker ends, also when `tick` has failed. */
  end?: () => Promise<unknown>
}

/**
 * A worker that does `tick`, and does it again `ms` later, or up to half a second earlier or later.
 * @param tick may resolve to another wait, in milliseconds, or to true when there is more to do now
 */
export function every(
  name: string,
  ms: number,
  tick: (signal: AbortSignal) => Promise<number | boolean> | Promise<void>,
  { clock, nudge = new Nudge(), end }: Rhythm,
): Worker {
  return {
    name,
    async run(signal) {
      try {
        while (!signal.aborted) {
          const wait = await tick(signal)
          if (wait === true) continue
          await nudge.wait(clock, typeof wait === 'number' ? wait : untilShared(ms, clock), signal)
        }
      } finally {
        await end?.()
      }
    },
  }
}

const SHARED_MS = 1_000

/** Ends waits on whole seconds: workers that wake together cost as much as one. */
function untilShared(ms: number, clock: Clock): number {
  if (ms < SHARED_MS) return ms
  const now = clock.steady()
  return Math.round((now + ms) / SHARED_MS) * SHARED_MS - now
}

/** Wakes a sleeping loop early, which would find the work anyway at its next poll. */
export class Nudge {
  private pending = false
  private wake: (() => void) | undefined

  /** There may be something to do now. */
  nudge(): void {
    this.pending = true
    this.wake?.()
  }

  /**
   * Resolves at the next nudge, at once if one came since the last wait, after `ms`, or at the
   * abort.
   */
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
