/**
 * Gives back the slots of a device's pace that were held for messages which were cancelled, have expired or went with their device. Not at once with
 * each of them: a thousand that are cancelled one after the other would move what waits behind them a thousand times.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Worker } from '../../runtime/worker.ts'
import type { Pace } from './pace.ts'
import type { SlotReturns } from './slot-repository.ts'

export interface UnusedSlotsOptions {
  slots: SlotReturns
  paceOf(platform: string): Pace
  clock: Clock
}

export interface UnusedSlots {
  worker: Worker
  /** A message of the device waits no more, and wasn't tried. */
  note(deviceRowId: string): void
}

/** How often is looked, in milliseconds. */
const POLL_MS = 1_000
/** It takes longer the more waits: at most one part of the time in so many goes into it. */
const REST_FACTOR = 20

export function createUnusedSlots({ slots, paceOf, clock }: UnusedSlotsOptions): UnusedSlots {
  const noted = new Set<string>()

  async function giveBack(signal: AbortSignal): Promise<void> {
    const found = [...noted]
    // What ends from now on is noted anew.
    noted.clear()
    for (const deviceRowId of found) {
      if (signal.aborted) break
      await slots.close(deviceRowId, paceOf)
    }
  }

  return {
    note: deviceRowId => void noted.add(deviceRowId),
    worker: {
      name: 'unused-slots',
      async run(signal) {
        // What was noted is forgotten by a kill, and by a failure.
        for (const deviceRowId of await slots.pacedDevices()) noted.add(deviceRowId)
        while (!signal.aborted) {
          const startedAt = clock.steady()
          await giveBack(signal)
          await clock.sleep(Math.max(POLL_MS, REST_FACTOR * (clock.steady() - startedAt)), signal)
        }
      },
    },
  }
}
