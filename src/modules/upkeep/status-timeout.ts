/**
 * Settles messages that a bridge never says anything about, as some don't: after a while they count as sent, with the reason
 * `status_timeout`, so that nothing is pending for ever. What is said later still counts.
 */
import type { Clock } from '../../lib/clock.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from '../sending/ending-repository.ts'

export interface StatusTimeoutOptions {
  endings: Pick<MessageEndings, 'settleSilent'>
  /** How long a bridge has to say something, in milliseconds. */
  timeoutMs: number
  clock: Clock
}

/** Settled in one transaction. */
const BATCH = 500
const LONGEST_PAUSE_MS = 5_000

export function createStatusTimeout({ endings, timeoutMs, clock }: StatusTimeoutOptions): Worker {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.ceil(timeoutMs / 10))

  const settle = async () => {
    const now = clock.now()
    return (await endings.settleSilent(now - timeoutMs, BATCH, now)) === BATCH
  }
  return every('status-timeout', pauseMs, settle, { clock })
}
