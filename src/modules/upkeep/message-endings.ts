/**
 * Ends messages that nobody else does: not handed over in time, without a word of their bridge, or
 * waiting for a device that was deleted. Each step is one transaction of a few milliseconds, and
 * the next start goes on with what a stop interrupts.
 */
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from '../sending/statuses/ending-repository.ts'

interface Parts<Used extends keyof MessageEndings> {
  endings: Pick<MessageEndings, Used>
  clock: Clock
}

interface FileParts<Used extends keyof MessageEndings> extends Parts<Used> {
  /** Removes files that no message needs any more. */
  discard(mediaIds: readonly string[]): Promise<void>
}

/** Messages that fail in one transaction, and that are settled in one. */
const BATCH = 100
const SILENT_BATCH = 500
/** How late a message may expire, in milliseconds. */
const EXPIRY_POLL_MS = 1_000
const LONGEST_PAUSE_MS = 5_000
/** Between looks for messages that were being sent when their device was deleted. */
const DELETED_POLL_MS = 5_000

/**
 * Fails messages that weren't handed over by their `expires_at`, wherever they wait. The outbox
 * looks, too, before it sends one: this worker is for those that it doesn't come to.
 */
export function createExpiry({ endings, discard, clock }: FileParts<'expire'>): Worker {
  const expire = async () => {
    const { count, unneeded } = await endings.expire(clock.now(), BATCH)
    await discard(unneeded)
    return count === BATCH
  }
  return every('message-expiry', EXPIRY_POLL_MS, expire, { clock })
}

/**
 * Settles messages that their bridge is silent about, as some bridges are: they count as sent, with
 * the reason `status_timeout`, so that none is pending for ever. A later report still counts.
 * @param parts.timeoutMs how long a bridge has to say something, in milliseconds
 */
export function createStatusTimeout(parts: Parts<'settleSilent'> & { timeoutMs: number }): Worker {
  const { endings, timeoutMs, clock } = parts
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.ceil(timeoutMs / 10))
  const settle = async () => {
    const now = clock.now()
    return (await endings.settleSilent(now - timeoutMs, SILENT_BATCH, now)) === SILENT_BATCH
  }
  return every('status-timeout', pauseMs, settle, { clock })
}

/**
 * Fails what waits for devices that were deleted, so that it is known at once and takes up no room
 * in the queue. The outbox never sends such a message, either, however far this worker has come.
 */
export function createDeletedDevices(
  parts: FileParts<'discardedQueues' | 'failDiscarded'> & { signals: Hears<'queues-discarded'> },
): Worker {
  const { endings, discard, signals, clock } = parts
  const nudge = new Nudge()
  signals.on('queues-discarded', () => nudge.nudge())
  const failSome = async (signal: AbortSignal) => {
    let isMore = false
    for (const deviceRowId of await endings.discardedQueues()) {
      if (signal.aborted) break
      const { count, unneeded } = await endings.failDiscarded(deviceRowId, BATCH, clock.now())
      await discard(unneeded)
      isMore ||= count === BATCH
    }
    return isMore
  }
  return every('deleted-devices', DELETED_POLL_MS, failSome, { clock, nudge })
}
