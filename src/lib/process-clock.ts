/**
 * The clock of a running process. It runs by itself, so that setting the machine's clock moves
 * nothing in the middle; modules/upkeep adopts the new time once its waiters are ready.
 */
import { type Clock, systemClock } from './clock.ts'

export type ProcessClock = ReturnType<typeof createProcessClock>

/** @param machine the clock to follow; its `steady` must never jump */
export function createProcessClock(machine: Clock = systemClock) {
  let base = machine.now() - machine.steady()
  const now = () => Math.floor(base + machine.steady())
  return {
    now,
    steady: () => machine.steady(),
    sleep: (ms: number, signal?: AbortSignal) => machine.sleep(ms, signal),
    /** How far the machine's clock is ahead of this one, in milliseconds; negative if behind. */
    stepMs: () => machine.now() - now(),
    /** Moves this clock forward by `stepMs`. */
    adopt(stepMs: number): void {
      base += stepMs
    },
  }
}
