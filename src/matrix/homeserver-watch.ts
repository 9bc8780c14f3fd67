/**
 * Notices that an external homeserver has ended, however shortly: a /sync that brings nothing is
 * kept open and breaks with it. Synapse holds what it has yet to push in memory and counts it as
 * told (handlers/appservice.py), so a kill loses it.
 */
import { z } from 'zod'
import { GatewayError, messageOf } from '../domain/errors.ts'
import type { SyncPosition } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { every, type Worker } from '../runtime/worker.ts'
import type { LookBack } from './look-back.ts'
import type { MatrixCalls } from './matrix-calls.ts'
import { pauseAfter } from './retry-when-limited.ts'
import { EMPTY_FILTER, syncCall } from './sync/sync-response.ts'

export interface HomeserverWatchOptions {
  calls: Pick<MatrixCalls, 'raw'>
  /** Our users: the request is made for one of them. Without any there is nothing to miss. */
  positions(): Promise<Pick<SyncPosition, 'userId'>[]>
  /** Learns when the homeserver answers again after it had gone away. */
  lookBack: Pick<LookBack, 'returned'>
  clock: Clock
  logger: Logger
}

/** How long a request is kept open, in milliseconds: less than the least that proxies allow. */
const HOLD_MS = 25_000
/** One that isn't answered this long after that has broken off. */
const ANSWER_PATIENCE_MS = 10_000
/** Pause between requests: no restart is that fast, and one that answers at once isn't flooded. */
const PAUSE_MS = 1_000
const NOBODY_MS = 15_000
const RETRY = { baseMs: 500, capMs: 15_000 }

/** A request's user, and the position after the one before. */
interface Held {
  userId: string
  since: string | null
}

export function createHomeserverWatch(options: HomeserverWatchOptions): Worker {
  const { calls, positions, lookBack, clock, logger } = options

  /** The first one, without `since`, is answered at once. */
  async function hold({ userId, since }: Held, signal: AbortSignal): Promise<Held> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(HOLD_MS + ANSWER_PATIENCE_MS)])
    const call = { ...syncCall(EMPTY_FILTER, HOLD_MS, since), signal: patience, hasOwnConnection: true }
    const response = await calls.raw(userId, 'keep a request open', call, { patienceMs: 0 })
    return { userId, since: syncAnswer.parse(await response.json()).next_batch }
  }

  async function someone(): Promise<Held | null> {
    const [user] = await positions()
    return user ? { userId: user.userId, since: null } : null
  }

  let held: Held | null = null
  let isAway = false
  let failures = 0

  /** @returns the pause before the next request, in milliseconds */
  async function tick(signal: AbortSignal): Promise<number> {
    try {
      held ??= await someone()
      if (held) held = await hold(held, signal)
      if (isAway) lookBack.returned()
      isAway = false
      failures = 0
      return held ? PAUSE_MS : NOBODY_MS
    } catch (error) {
      if (signal.aborted) return NOBODY_MS
      if (!isAway && isOutage(error)) logger.debug({ reason: messageOf(error) }, 'the homeserver is away')
      isAway ||= isOutage(error)
      failures += 1
      // The user may be gone. A first request is answered at once, so it shows a return.
      held = null
      return pauseAfter(error, failures, RETRY)
    }
  }

  return every('matrix-homeserver-watch', NOBODY_MS, tick, { clock })
}

/** True if nothing answered, or nothing able to: refusals and rate limits come from a live one. */
function isOutage(error: unknown): boolean {
  return !(error instanceof GatewayError) || (error.code === 'homeserver_unavailable' && !error.retryAfterS)
}

const syncAnswer = z.object({ next_batch: z.string().min(1) })
