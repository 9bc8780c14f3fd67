/**
 * Fails what waits for devices that were deleted, in steps of a few milliseconds, so that it is known at once and takes up no room in the queue. The
 * outbox looks, too, before it sends one: it is never sent, however far this worker has come. What a stop interrupts goes on at the next start.
 */
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from './ending-repository.ts'

export interface VoidingOptions {
  endings: Pick<MessageEndings, 'voidQueues' | 'failVoid'>
  /** Removes files that no message needs any more. */
  discard(mediaIds: readonly string[]): Promise<void>
  signals: Hears<'devices-voided'>
  clock: Clock
}

/** Failed in one transaction. */
const BATCH = 100
/** How often is looked for what was being sent when its device was deleted, and has to wait after all; in milliseconds. */
const POLL_MS = 5_000

export function createVoiding({ endings, discard, signals, clock }: VoidingOptions): Worker {
  const nudge = new Nudge()
  signals.on('devices-voided', () => nudge.nudge())

  async function empty(deviceRowId: string, signal: AbortSignal): Promise<void> {
    let count = BATCH
    while (count === BATCH && !signal.aborted) {
      const step = await endings.failVoid(deviceRowId, BATCH, clock.now())
      await discard(step.unneeded)
      count = step.count
    }
  }

  async function emptyAll(signal: AbortSignal): Promise<void> {
    for (const deviceRowId of await endings.voidQueues()) await empty(deviceRowId, signal)
  }

  return every('message-voiding', POLL_MS, emptyAll, { clock, nudge })
}
