/** How late timers fire: what keeps the event loop busy keeps everything waiting, and shows here first. */
import type { Clock } from '../../../lib/clock.ts'
import type { Worker } from '../../../runtime/worker.ts'

const INTERVAL_MS = 250

export function createLoopLag(observe: (lagMs: number) => void, clock: Clock): Worker {
  return {
    name: 'event-loop-lag',
    async run(signal) {
      while (!signal.aborted) {
        const startedAt = performance.now()
        await clock.sleep(INTERVAL_MS, signal)
        if (!signal.aborted) observe(Math.max(0, performance.now() - startedAt - INTERVAL_MS))
      }
    },
  }
}
