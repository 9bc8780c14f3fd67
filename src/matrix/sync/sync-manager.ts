/**
 * Runs a /sync loop for each identity with its own access token, for homeservers that don't push to
 * us. Loops begin with new identities and end with retired ones.
 */
import pLimit from 'p-limit'
import type { SyncPosition } from '../../domain/ports.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { every, Nudge } from '../../runtime/worker.ts'
import type { MatrixCalls } from '../matrix-calls.ts'
import type { RoomEventSink } from '../room-event.ts'
import { SyncLoop, type SyncState } from './sync-loop.ts'

export interface SyncManagerOptions {
  calls: MatrixCalls
  sink: RoomEventSink
  /** Whose events are to be fetched. */
  positions(): Promise<SyncPosition[]>
  signals: Hears<'identity-created'>
  clock: Clock
  logger: Logger
}

export interface SyncHealth {
  loops: number
  failing: number
  /** Why one of them fails, null when none does. */
  failure: string | null
  /** Last answer to the loop furthest behind; null: one has none yet, or there is no loop. */
  oldestSyncAt: number | null
}

export type SyncManager = ReturnType<typeof createSyncManager>

/** How often identities are looked for that no nudge told of, in milliseconds. */
const POLL_MS = 15_000
/** Requests at a time that loops make to catch up. */
const SLOTS = 16

export function createSyncManager(options: SyncManagerOptions) {
  const { calls, sink, positions, signals, clock, logger } = options
  const nudge = new Nudge()
  signals.on('identity-created', () => nudge.nudge())
  const loops = new Map<string, { loop: SyncLoop; ended: Promise<void> }>()
  const inSlot = pLimit(SLOTS)
  let failing = 0

  /** An outage fails every loop: the first and the last are told. */
  function noteChange({ failure }: SyncState, userId: string): void {
    failing += failure === null ? -1 : 1
    if (failure !== null && failing === 1) logger.warn({ user: userId, reason: failure }, '/sync fails')
    if (failing === 0) logger.info('/sync works again')
  }

  function start(position: SyncPosition): void {
    const { userId } = position
    const loop = new SyncLoop(position, { calls, sink, inSlot, clock, logger }, state =>
      noteChange(state, userId),
    )
    loops.set(userId, { loop, ended: loop.run() })
  }

  function end(userId: string): Promise<void> {
    const running = loops.get(userId)
    if (!running) return Promise.resolve()
    loops.delete(userId)
    if (running.loop.state.failure !== null) failing -= 1
    running.loop.stop()
    return running.ended
  }

  /** Starts what is missing and ends what is no longer wanted. */
  async function reconcile(): Promise<void> {
    const wanted = new Map((await positions()).map(position => [position.userId, position]))
    for (const userId of loops.keys()) if (!wanted.has(userId)) void end(userId)
    for (const [userId, position] of wanted) if (!loops.has(userId)) start(position)
  }

  return {
    /** How the identity's loop is doing; null when it has none. */
    stateOf: (userId: string): Readonly<SyncState> | null => loops.get(userId)?.loop.state ?? null,

    health(): SyncHealth {
      let failure: string | null = null
      let oldestSyncAt: number | null = Number.POSITIVE_INFINITY
      for (const { loop } of loops.values()) {
        const { state } = loop
        failure ??= state.failure
        oldestSyncAt =
          oldestSyncAt === null || state.lastSyncAt === null ? null : Math.min(oldestSyncAt, state.lastSyncAt)
      }
      return { loops: loops.size, failing, failure, oldestSyncAt: loops.size === 0 ? null : oldestSyncAt }
    },

    worker: every('matrix-sync', POLL_MS, reconcile, {
      clock,
      nudge,
      end: () => Promise.all([...loops.keys()].map(end)),
    }),
  }
}
