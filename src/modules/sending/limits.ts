/**
 * How fast a device sends, how much may wait to be sent, and when what waits is due.
 *
 * A device has a pace, so that a phone network doesn't take it for a machine: on average one
 * message an interval, after a burst (generic cell rate algorithm). Its whole state is one instant,
 * when the device may send next.
 */
import { GatewayError } from '../../domain/errors.ts'
import { MAX_SEND_AT_MS } from '../../domain/limits.ts'
import { jittered } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { instantIn } from '../../lib/instant.ts'
import { Tally } from '../../lib/tally.ts'
import type { MessageWithDevice } from './message-repository.ts'
import type { WaitingMessages } from './queue/lane-repository.ts'

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
 * @param nextSendAt as a device's last message left it, perhaps at a slower pace of an earlier run
 * @returns when the device may send at this pace: no message makes it rest longer
 */
export function mayNextSendAt({ intervalMs, jitter }: Pace, nextSendAt: number, now: number): number {
  return intervalMs === 0 ? 0 : Math.min(nextSendAt, now + Math.ceil(intervalMs * (1 + jitter)))
}

/**
 * Estimates when messages that are queued are due, by what waits before them and by their device's
 * pace, as if nothing failed and the device had its connection.
 * @returns a function that gives the instants by `seq`, without those that too much waits before
 */
export function createDueTimes(options: {
  waiting: Pick<WaitingMessages, 'turns'>
  paceOf(platform: string): Pace
  clock: Clock
}) {
  const { waiting, paceOf, clock } = options
  return async (messages: readonly MessageWithDevice[]): Promise<Map<number, number>> => {
    const due = new Map<number, number>()
    for (const { message } of messages)
      if (message.status === 'scheduled' && message.sendAt !== null)
        due.set(message.seq, Math.max(clock.now(), message.sendAt))
    const queued = messages.filter(({ message }) => message.status === 'queued')
    for (const [deviceRowId, own] of Map.groupBy(queued, ({ message }) => message.deviceRowId)) {
      const now = clock.now()
      const { intervalMs, burst } = paceOf(own[0]?.platform ?? '')
      const rows = own.map(({ message }) => message)
      const { nextSendAt, turns } = await waiting.turns(deviceRowId, rows, now)
      for (const { seq, dueAt, before } of turns) {
        const earliest = Math.max(now, dueAt ?? now)
        if (intervalMs === 0) due.set(seq, earliest)
        if (intervalMs === 0 || before === null) continue
        // The first of a burst goes now, whatever went by unused.
        const sendAt = Math.max(nextSendAt, now - (burst - 1) * intervalMs)
        due.set(seq, Math.max(earliest, sendAt + before * intervalMs))
      }
    }
    return due
  }
}

const DAY_MS = 24 * 3_600_000

/**
 * @param sendAt as a client writes it
 * @returns milliseconds since the epoch
 * @throws GatewayError bad_request when it is no time, or none in the days ahead
 */
export function instantToSend(sendAt: string, now: number): number {
  const at = instantIn(sendAt)
  if (at === null)
    throw new GatewayError(
      'bad_request',
      'send_at: expected an RFC 3339 time with an offset, such as 2026-04-27T10:00:00Z',
    )
  if (at > now && at <= now + MAX_SEND_AT_MS) return at
  const days = MAX_SEND_AT_MS / DAY_MS
  throw new GatewayError('bad_request', `send_at: expected a time to come, at most ${days} days ahead`)
}

/** Bounds of Retry-After, in seconds. */
const LONGEST_WAIT_S = 3_600
/** Where other identities make the room. */
const WAIT_FOR_OTHERS_S = 10

export type Backlog = ReturnType<typeof createBacklog>

/**
 * Counts in memory how many messages wait to be sent, so that accepting a send counts nothing:
 * every statement that changes it says so after its commit.
 * @param limits how many may wait: of one identity, and of all together
 * @param waiting how many wait at the start, by identity
 */
export function createBacklog({
  limits,
  waiting,
}: {
  limits: { perIdentity: number; inAll: number }
  waiting: ReadonlyMap<string, number>
}) {
  const counts = new Tally(waiting)

  return {
    /**
     * Takes room for messages that are about to be stored: for all of them, or for none.
     * @param intervalMs between two messages of their device, which tells when there will be room
     * @throws GatewayError too_many_requests
     */
    enter(identityId: string, count: number, intervalMs: number): void {
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
    /** Messages wait no more: they were handed over, have ended, or weren't stored after all. */
    leave: (identityId: string, count: number) => counts.add(identityId, -count),
    /** A message waits again, whatever the limits: it was taken once. */
    requeue: (identityId: string) => counts.add(identityId, 1),
  }
}

function secondsUntilRoom(tooMany: number, intervalMs: number): number {
  return Math.min(LONGEST_WAIT_S, Math.max(1, Math.ceil((tooMany * intervalMs) / 1000)))
}

function full(why: string, retryAfterS: number): GatewayError {
  const message = `The queue is full: ${why}. Nothing of this send was taken`
  return new GatewayError('too_many_requests', message, retryAfterS)
}
