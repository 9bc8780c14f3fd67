/**
 * Fails messages that weren't handed over by their `expires_at`, wherever they wait and whatever their device is up to. The outbox looks, too, before
 * it sends one: this worker is for those that it doesn't come to.
 */
import type { Clock } from '../../lib/clock.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from '../sending/ending-repository.ts'

export interface ExpiryOptions {
  endings: Pick<MessageEndings, 'expire'>
  /** Removes files that no message needs any more. */
  discard(mediaIds: readonly string[]): Promise<void>
  clock: Clock
}

/** Failed in one transaction: a few milliseconds. */
const BATCH = 100
/** How late a message may fail, in milliseconds. */
const POLL_MS = 1_000

export function createExpiry({ endings, discard, clock }: ExpiryOptions): Worker {
  const expire = async () => {
    const { count, unneeded } = await endings.expire(clock.now(), BATCH)
    await discard(unneeded)
    return count === BATCH
  }
  return every('message-expiry', POLL_MS, expire, { clock })
}
