/**
 * The clock of a running process. It keeps time by itself from the start on, so that nobody who sets the machine's clock moves it in the
 * middle of something; what the machine's clock says by now is adopted when whoever owns what waits (modules/timekeeping) is ready for it.
 */
import { type Clock, systemClock } from './clock.ts'

export interface ProcessClock extends Clock {
  /** How far the machine's clock is ahead of this one, in milliseconds; negative when it was set back. */
  stepMs(): number
  /** From now on this clock is later by so many milliseconds. */
  adopt(stepMs: number): void
}

/** @param machine what it follows; its `steady` must never jump */
export function createProcessClock(machine: Clock = systemClock): ProcessClock {
  let base = machine.now() - machine.steady()
  const now = () => Math.floor(base + machine.steady())
  return {
    now,
    steady: () => machine.steady(),
    sleep: (ms, signal) => machine.sleep(ms, signal),
    stepMs: () => machine.now() - now(),
    adopt(stepMs) {
      base += stepMs
    },
  }
}
