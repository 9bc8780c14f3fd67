/**
 * How fast a device sends, how much may wait to be sent, and when what waits is due.
 *
 * A device has a pace, so that a phone network doesn't take it for a machine: on average one
 * message an interval, after a burst (generic cell rate algorithm). Its whole state is one instant,
 * when the device may send next.
 */
import { GatewayError } from '../../domain/errors.ts'
import { jittered } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { Tally } from '../../lib/tally.ts'
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
 * @param nextSendAt when the device was allowed to send the message that it sends now; 0 for the
 * first one
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

/**
 * @returns when each of the messages that are queued is due, by its `seq`, unless too much waits to
 * tell
 */
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

export interface BacklogOptions {
  /** Messages that may wait: of one identity, and of all together. */
  limits: { perIdentity: number; inAll: number }
  /** How many wait now, by identity. */
  waiting: ReadonlyMap<string, number>
}

/**
 * How many messages wait to be sent, counted in memory from what the database told at the start, so
 * that accepting a send counts nothing: every statement that changes it says so after its commit.
 */
export interface Backlog {
  /**
   * Takes room for messages that are about to be stored: for all of them, or for none.
   * @param intervalMs between two messages of their device, which tells when there will be room
   * @throws GatewayError too_many_requests
   */
  enter(identityId: string, count: number, intervalMs: number): void
  /** Messages wait no more: they were handed over, have ended, or weren't stored after all. */
  leave(identityId: string, count: number): void
  /** A message waits again, whatever the limits: it was taken once. */
  requeue(identityId: string): void
}

/** Bounds of Retry-After, in seconds. */
const LONGEST_WAIT_S = 3_600
/** Where other identities make the room. */
const WAIT_FOR_OTHERS_S = 10

export function createBacklog({ limits, waiting }: BacklogOptions): Backlog {
  const counts = new Tally(waiting)

  return {
    enter(identityId, count, intervalMs) {
      const own = counts.of(identityId)
      const tooMany = own + count - limits.perIdentity
      if (tooMany > 0) {
        const what = `${own} messages of this identity wait to be sent already, of ${limits.perIdentity} that may`
        throw full(what, secondsUntilRoom(tooMany, intervalMs))
      }
      // Without a number: it would tell how much others send.
      if (counts.total + count > limits.inAll)
        throw full('the gateway has no room for more at the moment', WAIT_FOR_OTHERS_S)
      counts.add(identityId, count)
    },
    leave: (identityId, count) => counts.add(identityId, -count),
    requeue: identityId => counts.add(identityId, 1),
  }
}

function secondsUntilRoom(tooMany: number, intervalMs: number): number {
  return Math.min(LONGEST_WAIT_S, Math.max(1, Math.ceil((tooMany * intervalMs) / 1000)))
}

function full(why: string, retryAfterS: number): GatewayError {
  const message = `The queue is full: ${why}. Nothing of this send was taken`
  return new GatewayError('too_many_requests', message, retryAfterS)
}
