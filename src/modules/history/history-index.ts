/** Indexes new messages for the search, outside the transactions that store them. */
import type { Db } from '../../db/open.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import { createSearchRepository } from './search-repository.ts'

/** Messages indexed in one transaction. */
const BATCH = 100
/** Between looks for those that a stop has left, in milliseconds. */
const INTERVAL_MS = 600_000

export interface HistoryIndexParts {
  db: Pick<Db, 'read' | 'write'>
  signals: Hears<'said'>
  clock: Clock
}

export function createHistoryIndex({ db, signals, clock }: HistoryIndexParts): Worker {
  const { indexSome } = createSearchRepository(db)
  const nudge = new Nudge()
  signals.on('said', () => nudge.nudge())
  const some = async () => (await indexSome(BATCH)) === BATCH
  return every('history-index', INTERVAL_MS, some, { clock, nudge })
}
