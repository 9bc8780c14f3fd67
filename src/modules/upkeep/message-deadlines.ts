/** Ends messages whose time is over: not handed over in time, or without a word of their bridge. */
import type { Clock } from '../../lib/clock.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from '../sending/ending-repository.ts'

export interface ExpiryOptions {
  endings: Pick<MessageEndings, 'expire'>
  /** Removes files that no message needs any more. */
  discard(mediaIds: readonly string[]): Promise<void>
  clock: Clock
}

/** Messages that expire in one transaction: a few milliseconds. */
const EXPIRY_BATCH = 100
/** How late a message may expire, in milliseconds. */
const EXPIRY_POLL_MS = 1_000

/**
 * Fails messages that weren't handed over by their `expires_at`, wherever they wait. The outbox
 * looks, too, before it sends one: this worker is for those that it doesn't come to.
 */
export function createExpiry({ endings, discard, clock }: ExpiryOptions): Worker {
  const expire = async () => {
    const { count, unneeded } = await endings.expire(clock.now(), EXPIRY_BATCH)
    await discard(unneeded)
    return count === EXPIRY_BATCH
  }
  return every('message-expiry', EXPIRY_POLL_MS, expire, { clock })
}

export interface StatusTimeoutOptions {
  endings: Pick<MessageEndings, 'settleSilent'>
  /** How long a bridge has to say something, in milliseconds. */
  timeoutMs: number
  clock: Clock
}

/** Messages settled in one transaction. */
const SILENT_BATCH = 500
const LONGEST_PAUSE_MS = 5_000

/**
 * Settles messages that their bridge is silent about, as some bridges are: they count as sent, with
 * the reason `status_timeout`, so that none is pending for ever. A later report still counts.
 */
export function createStatusTimeout({ endings, timeoutMs, clock }: StatusTimeoutOptions): Worker {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.ceil(timeoutMs / 10))
  const settle = async () => {
    const now = clock.now()
    return (await endings.settleSilent(now - timeoutMs, SILENT_BATCH, now)) === SILENT_BATCH
  }
  return every('status-timeout', pauseMs, settle, { clock })
}
