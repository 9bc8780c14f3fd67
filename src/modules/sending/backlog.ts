/**
 * How many messages wait to be sent, of each identity and in all, and whether there is room for more. Counted in memory from what the database
 * told at the start, so that accepting a send counts nothing: every statement that lets a message wait or wait no more says so after its commit.
 */
import { GatewayError } from '../../domain/errors.ts'
import { Tally } from '../../lib/tally.ts'

export interface BacklogOptions {
  /** Messages that may wait: of one identity, and of all together. */
  limits: { perIdentity: number; inAll: number }
  /** How many wait now, by identity. */
  waiting: ReadonlyMap<string, number>
}

export interface Backlog {
  /**
   * Takes room for messages that are about to be stored: for all of them, or for none.
   * @param intervalMs between two messages of their device, from which follows when there will be room
   * @throws GatewayError too_many_requests
   */
  enter(identityId: string, count: number, intervalMs: number): void
  /** Messages wait no more: they were handed over, have failed, were cancelled, or weren't stored after all. */
  leave(identityId: string, count: number): void
  /** A message waits again, whatever the limits: it was taken once. */
  requeue(identityId: string): void
}

/** What is said of when there will be room, in seconds. */
const LONGEST_WAIT_S = 3_600
/** Where other identities make the room. */
const WAIT_FOR_OTHERS_S = 10

export function createBacklog({ limits, waiting }: BacklogOptions): Backlog {
  /** Of identities that have any. */
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
