/**
 * Sends again what was handed over into a room as its bridge closed it, also when nothing more is
 * written in that chat.
 */
import type { Hears } from '../../../domain/signals.ts'
import type { Clock } from '../../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../../runtime/worker.ts'
import { LAST_WORD_MS, type OutboxQueue } from './queue-repository.ts'

/** Between looks that no signal asks for. */
const IDLE_MS = 600_000

export function createClosedRooms(options: {
  queue: Pick<OutboxQueue, 'closedRooms' | 'settleClosedRoom'>
  signals: Hears<'moved'>
  clock: Clock
}): Worker {
  const { queue, signals, clock } = options
  const nudge = new Nudge()
  /** When to look next, by the steady clock. */
  let dueAt = clock.steady() + LAST_WORD_MS

  signals.on('moved', () => {
    dueAt = Math.min(dueAt, clock.steady() + LAST_WORD_MS)
    nudge.nudge()
  })

  /** @returns when it has to be done again, in milliseconds */
  async function tick(): Promise<number> {
    if (dueAt <= clock.steady()) {
      dueAt = clock.steady() + IDLE_MS
      for (const { identityId, roomId } of await queue.closedRooms()) {
        const waitMs = await queue.settleClosedRoom(identityId, roomId, clock.now())
        if (waitMs !== null) dueAt = Math.min(dueAt, clock.steady() + waitMs)
      }
    }
    return Math.max(10, dueAt - clock.steady())
  }

  return every('closed-rooms', IDLE_MS, tick, { clock, nudge })
}
