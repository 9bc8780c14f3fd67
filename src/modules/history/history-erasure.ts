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
  clock: Clock
}

export function createHistoryErasure({ db, signals, clock }: HistoryErasureParts): Worker {
  const { deleteOfRemovedDevices } = createHistoryRepository(db)
  const nudge = new Nudge()
  signals.on('queues-discarded', () => nudge.nudge())
  const eraseSome = async () => (await deleteOfRemovedDevices(BATCH)) === BATCH
  return every('history-erasure', INTERVAL_MS, eraseSome, { clock, nudge })
}
