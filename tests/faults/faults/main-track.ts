/** Carries out the faults of process, disk, database and clock, one after the other. */

import type { QuotaFolder } from '../../support/quota-folder.ts'
import type { GatewayUnderTest } from '../gateway.ts'
import { type Injected, type Phase, pause } from '../phase.ts'
import type { MainFault, Timed } from '../plan.ts'
import type { ShiftedClock } from './clock.ts'
import { holdWriteLock } from './database.ts'

export interface MainTrack {
  gateway: GatewayUnderTest
  databaseFile: string
  quota: QuotaFolder | null
  clock: ShiftedClock | null
  injected: Injected
  tell: Phase['tell']
}

export async function runMainTrack(track: MainTrack, faults: readonly Timed<MainFault>[]): Promise<void> {
  const never = new AbortController().signal
  for (const fault of faults) {
    await pause(fault.afterMs, never)
    track.tell(JSON.stringify(fault))
    await inject(track, fault)
    track.injected.add(fault.kind)
  }
}

async function inject(
  { gateway, databaseFile, quota, clock, injected }: MainTrack,
  fault: MainFault,
): Promise<void> {
  switch (fault.kind) {
    case 'kill -9':
      await gateway.kill()
      await Bun.sleep(fault.downMs)
      return gateway.start()
    case 'SIGTERM':
      await gateway.terminate()
      await Bun.sleep(fault.downMs)
      return gateway.start()
    case 'database busy':
      return holdWriteLock(databaseFile, fault.forMs)
    case 'clock jump':
      return clock?.jump(fault.byMs)
    case 'disk full':
      quota?.fill(fault.freeBytes)
      if (fault.killed) {
        await Bun.sleep(fault.forMs / 2)
        await gateway.kill()
        injected.add('kill -9 while the disk is full')
        const starting = gateway.start(true)
        await Bun.sleep(fault.forMs / 2)
        quota?.free()
        return starting
      }
      await Bun.sleep(fault.forMs)
      return quota?.free()
  }
}
