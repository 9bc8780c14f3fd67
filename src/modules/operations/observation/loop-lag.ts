/** How late timers fire: what keeps the event loop busy keeps everything waiting, and shows here first. */
import type { Clock } from '../../../lib/clock.ts'
import { every, type Worker } from '../../../runtime/worker.ts'

const INTERVAL_MS = 250

export function createLoopLag(observe: (lagMs: number) => void, clock: Clock): Worker {
  let dueAt = Number.POSITIVE_INFINITY
  async function tick(): Promise<void> {
    const now = performance.now()
    if (Number.isFinite(dueAt)) observe(Math.max(0, now - dueAt))
    dueAt = now + INTERVAL_MS
  }
  return every('event-loop-lag', INTERVAL_MS, tick, { clock })
}
