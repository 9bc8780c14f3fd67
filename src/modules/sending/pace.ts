/**
 * The pace at which a device sends, so that a phone network doesn't take it for a machine: on average
 * one message an interval, after a burst (generic cell rate algorithm). Its whole state is one
 * instant, when the device may send next.
 */
import { jittered } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WaitingMessages } from './lane-repository.ts'
import type { MessageWithDevice } from './message-repository.ts'

export interface Pace {
  /** Milliseconds between two messages on average; 0: no limit. */
  intervalMs: number
  /** Share of the interval that is random, 0 to 1. */
  jitter: number
  /** Messages that may go at once after a rest. */
  burst: number
}

/**
 * @param nextSendAt when the device was allowed to send the message that it sends now; 0 for its first
 * @returns when it may send the next one, in milliseconds since the epoch
 */
export function afterSending(
  { intervalMs, jitter, burst }: Pace,
  nextSendAt: number,
  now: number,
  random: () => number = Math.random,
): number {
  // Time that went by unused is lost beyond a burst.
  const sendAt = Math.max(nextSendAt, now - (burst - 1) * intervalMs)
  // Within a burst there is no interval to vary: that would change how many go at once.
  const nextOneWaits = sendAt + intervalMs > now
  return sendAt + (nextOneWaits ? jittered(intervalMs, jitter, random) : intervalMs)
}

/** @returns when each of the messages that are queued is due, by its `seq`, unless too much waits to tell */
export type DueTimes = (messages: readonly MessageWithDevice[]) => Promise<Map<number, number>>

/**
 * Estimates by what waits before a message and by its device's pace, as if nothing failed and the
 * device had its connection.
 */
export function createDueTimes(options: {
  waiting: Pick<WaitingMessages, 'turns'>
  paceOf(platform: string): Pace
  clock: Clock
}): DueTimes {
  const { waiting, paceOf, clock } = options
  return async messages => {
    const due = new Map<number, number>()
    const queued = messages.filter(({ message }) => message.status === 'queued')
    for (const [deviceRowId, own] of Map.groupBy(queued, ({ message }) => message.deviceRowId)) {
      const now = clock.now()
      const { intervalMs, burst } = paceOf(own[0]?.platform ?? '')
      const found = await waiting.turns(
        deviceRowId,
        own.map(({ message }) => message),
        now,
      )
      for (const { seq, dueAt, before } of found.turns) {
        const earliest = Math.max(now, dueAt ?? now)
        if (intervalMs === 0) due.set(seq, earliest)
        else if (before !== null)
          due.set(
            seq,
            Math.max(
              earliest,
              found.nextSendAt + before * intervalMs,
              now + (before - burst + 1) * intervalMs,
            ),
          )
      }
    }
    return due
  }
}
