/**
 * Upkeep: what happens by time alone. Scheduled messages become due, others expire or time out, old
 * rows and files go, and what waits moves with a clock that is set (clock-watch.ts, which begins
 * before everything else).
 */
import type { Db } from '../../db/open.ts'
import type { Hears } from '../../domain/signals.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import { createEarlierMessages } from '../history/earlier-messages.ts'
import { createHistoryErasure } from '../history/history-erasure.ts'
import { createHistoryIndex } from '../history/history-index.ts'
import { REMEMBERED_MS } from '../idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../idempotency/repository.ts'
import type { MessageEndings } from '../sending/statuses/ending-repository.ts'
import { createDeletedDevices, createExpiry, createStatusTimeout } from './message-endings.ts'
import { createRetention, type RetentionOptions } from './retention.ts'
import { createRetentionRepository } from './retention-repository.ts'
import { createSchedule } from './schedule.ts'
import { createScheduleRepository } from './schedule-repository.ts'

export interface UpkeepParts extends Omit<RetentionOptions, 'repository' | 'forgetKeys' | 'keysMs'> {
  db: Db
  endings: MessageEndings
  signals: Hears<'queues-discarded' | 'scheduled' | 'clock-moved'>
  statusTimeoutMs: number
  /** Forgets transactions and unmatched statuses from before an instant. */
  forgetReceived(before: number): Promise<void>
}

/** Repeats of a transaction come within minutes; after this they are forgotten. */
const RECEIVED_MS = 7 * 24 * 3_600_000
const RECEIVED_INTERVAL_MS = 3_600_000

export function createUpkeep(parts: UpkeepParts): Worker[] {
  const { db, statusTimeoutMs: timeoutMs, forgetReceived, clock } = parts
  const forgetKeys = createIdempotencyRepository(db).forget
  const repository = createRetentionRepository(db)
  return [
    createStatusTimeout({ ...parts, timeoutMs }),
    createExpiry(parts),
    createDeletedDevices(parts),
    createSchedule({ ...parts, schedule: createScheduleRepository(db) }),
    createEarlierMessages(parts),
    createHistoryErasure(parts),
    createHistoryIndex(parts),
    createRetention({ ...parts, repository, forgetKeys, keysMs: REMEMBERED_MS }),
    every('received-cleanup', RECEIVED_INTERVAL_MS, () => forgetReceived(clock.now() - RECEIVED_MS), {
      clock,
    }),
  ]
}
