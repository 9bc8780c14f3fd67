/** Looks after the devices now and then, so that one logged out at its phone doesn't stay in the list until somebody asks. */
import type { Clock } from '../../lib/clock.ts'
import type { Worker } from '../../runtime/worker.ts'
import type { LinkedDevices } from './devices.ts'

const INTERVAL_MS = 30_000

export function createDeviceProbe(devices: Pick<LinkedDevices, 'reconcileAll'>, clock: Clock): Worker {
  return {
    name: 'device-probe',
    async run(signal) {
      while (!signal.aborted) {
        await devices.reconcileAll()
        await clock.sleep(INTERVAL_MS, signal)
      }
    },
  }
}
