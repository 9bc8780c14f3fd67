/** Takes messages from before the history into it, a few at a time: no start waits for it. */
import type { Db } from '../../db/open.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import { createEarlierRepository } from './earlier-repository.ts'

/** Rows looked at in one transaction. */
const BATCH = 50
/** It is all done before, unless the disk was full. */
const INTERVAL_MS = 600_000

export function createEarlierMessages({ db, clock }: { db: Pick<Db, 'write'>; clock: Clock }): Worker {
  const { takeSome } = createEarlierRepository(db)
  return every('earlier-messages', INTERVAL_MS, () => takeSome(BATCH), { clock })
}
