/** Erases the history of devices that were deleted, some at a time. */
import type { Db } from '../../db/open.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import { createHistoryRepository } from './history-repository.ts'

/** Messages deleted in one transaction. */
const BATCH = 200
/** Between looks for those that a stop has left, in milliseconds. */
const INTERVAL_MS = 600_000

export interface HistoryErasureParts {
  db: Pick<Db, 'write'>
  signals: Hears<'queues-discarded'>
  /** Removes files from the disk. */
  discard(mediaIds: readonly string[]): Promise<void>
  clock: Clock
}

export function createHistoryErasure({ db, signals, discard, clock }: HistoryErasureParts): Worker {
  const { deleteOfRemovedDevices } = createHistoryRepository(db)
  const nudge = new Nudge()
  signals.on('queues-discarded', () => nudge.nudge())
  async function eraseSome(): Promise<boolean> {
    const { count, files } = await deleteOfRemovedDevices(BATCH)
    await discard(files)
    return count === BATCH
  }
  return every('history-erasure', INTERVAL_MS, eraseSome, { clock, nudge })
}
