/**
 * Fails what waits for devices that were deleted, in steps of a few milliseconds, so that it is
 * known at once and takes up no room in the queue. The outbox never sends such a message, either,
 * however far this worker has come. The next start goes on with what a stop interrupts.
 */
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import type { MessageEndings } from '../sending/ending-repository.ts'

export interface DeletedDevicesOptions {
  endings: Pick<MessageEndings, 'discardedQueues' | 'failDiscarded'>
  /** Removes files that no message needs any more. */
  discard(mediaIds: readonly string[]): Promise<void>
  signals: Hears<'queues-discarded'>
  clock: Clock
}

/** Failed in one transaction. */
const BATCH = 100
/** Between looks for messages that were being sent when their device was deleted. */
const POLL_MS = 5_000

export function createDeletedDevices({ endings, discard, signals, clock }: DeletedDevicesOptions): Worker {
  const nudge = new Nudge()
  signals.on('queues-discarded', () => nudge.nudge())

  async function empty(deviceRowId: string, signal: AbortSignal): Promise<void> {
    let count = BATCH
    while (count === BATCH && !signal.aborted) {
      const step = await endings.failDiscarded(deviceRowId, BATCH, clock.now())
      await discard(step.unneeded)
      count = step.count
    }
  }

  async function emptyAll(signal: AbortSignal): Promise<void> {
    for (const deviceRowId of await endings.discardedQueues()) await empty(deviceRowId, signal)
  }

  return every('deleted-devices', POLL_MS, emptyAll, { clock, nudge })
}
