/**
 * Reads recent messages once more after the homeserver couldn't push to us, or was restarted.
 * Synapse may keep back an event of the very instant in which it catches up until the next outage
 * (its scheduler looks for unsent events, and marks the service as up, in two steps), and forgets
 * events that it was pushing when it was killed (homeserver-watch.ts). Repeats show by event id.
 */
import pLimit from 'p-limit'
import { messageOf } from '../domain/errors.ts'
import type { RoomEvent, SyncPosition } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { every, Nudge } from '../runtime/worker.ts'
import type { MatrixCalls } from './matrix-calls.ts'
import { type RoomEventSink, roomEvents } from './room-event.ts'
import {
  LOOK_BACK_FILTER,
  memberEvent,
  ownInvitation,
  type SyncResponse,
  syncCall,
  syncResponse,
} from './sync/sync-response.ts'
import { statusOf } from './translate/status.ts'

export type LookBack = ReturnType<typeof createLookBack>

export interface LookBackOptions {
  calls: Pick<MatrixCalls, 'json'>
  sink: RoomEventSink
  /** The users to look for. */
  positions(): Promise<Pick<SyncPosition, 'userId'>[]>
  clock: Clock
  logger: Logger
}

/** After it pushes again or is back; later, too, as its backlog may be long. In milliseconds. */
const WAITS_MS = [5_000, 60_000, 600_000]
/** After it could be reached: it may have nothing to push, but for what it keeps back. */
const UNPUSHED_WAITS_MS = [60_000, 600_000]
/** While it pushes its backlog, oldest first, reading the newest would put that before the rest. */
const QUIET_MS = 5_000
/** Where it never is quiet, that is what happens now. */
const LONGEST_UNQUIET_MS = 600_000
/** Retention may have deleted our rows of older messages, which would then be told again. */
const REACH_MS = 6 * 3_600_000
const CONCURRENCY = 4

export function createLookBack({ calls, sink, positions, clock, logger }: LookBackOptions) {
  const nudge = new Nudge()
  let dueAt: number[] = []
  let storedAt = Number.NEGATIVE_INFINITY

  /** Milliseconds until the next look back. */
  function nextInMs(): number {
    const [next] = dueAt
    if (next === undefined) return IDLE_MS
    const quietAt = Math.min(storedAt + QUIET_MS, next + LONGEST_UNQUIET_MS)
    return Math.max(next, quietAt) - clock.steady()
  }

  function plan(waits: readonly number[]): void {
    const now = clock.steady()
    const [first = 0] = waits
    // Looks back that were due sooner stay so.
    dueAt = [...dueAt.filter(at => at < now + first), ...waits.map(ms => now + ms)]
    nudge.nudge()
  }

  async function read(userId: string): Promise<void> {
    const call = syncCall(LOOK_BACK_FILTER, 0)
    const { rooms } = syncResponse.parse(await calls.json(userId, 'read what was said lately', call))
    const position = { kind: 'look_back', userId } as const
    const failures: unknown[] = []
    for (const events of toldOf(userId, rooms, clock.now() - REACH_MS)) {
      // One room's failure must not keep back the others' events.
      if (events.length > 0)
        await sink.accept({ position, events, receipts: [] }).catch(error => failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }

  async function readAll(signal: AbortSignal): Promise<void> {
    const users = (await positions()).map(({ userId }) => userId)
    const failures: string[] = []
    await pLimit(CONCURRENCY).map(users, async userId => {
      if (!signal.aborted) await read(userId).catch(error => failures.push(messageOf(error)))
    })
    logger.debug({ users: users.length }, 'what was said lately was read once more')
    if (failures.length > 0)
      logger.warn(
        { users: users.length, failed: failures.length, reason: failures[0] },
        'what was said lately could not be read once more',
      )
  }

  async function tick(signal: AbortSignal): Promise<number | true> {
    const ms = nextInMs()
    if (ms > 0) return ms
    dueAt.shift()
    await readAll(signal)
    return true
  }

  return {
    /** The homeserver can reach us again. What it has for us is still to come. */
    reached: () => plan(UNPUSHED_WAITS_MS),
    /** The homeserver was away, and is back. */
    returned: () => plan(WAITS_MS),
    /** A transaction was stored. @param isFirst after a time in which none was taken */
    stored(isFirst: boolean): void {
      storedAt = clock.steady()
      if (isFirst) plan(WAITS_MS)
    },
    worker: every('matrix-look-back', IDLE_MS, tick, { clock, nudge }),
  }
}

/** Nothing is due by itself. */
const IDLE_MS = 3_600_000

/** Events of a first /sync answer, by room. */
function toldOf(userId: string, rooms: SyncResponse['rooms'], since: number): RoomEvent[][] {
  const invited = Object.entries(rooms.invite).map(([roomId, { invite_state: state }]) => [
    ownInvitation(roomId, userId, state.events),
  ])
  const joined = Object.entries(rooms.join).map(([roomId, { timeline }]) => {
    const said = roomEvents(timeline.events, roomId).filter(
      ({ state_key, origin_server_ts }) => state_key === undefined && origin_server_ts >= since,
    )
    // That we are in the room makes no difference where it is known.
    return [memberEvent(roomId, userId, userId, { membership: 'join' }), ...withLastWords(said)]
  })
  return [...invited, ...joined]
}

/** Keeps only a message's last status: an earlier one that it answered must not count again. */
function withLastWords(events: RoomEvent[]): RoomEvent[] {
  const last = new Map<string, RoomEvent>()
  for (const event of events) {
    const status = statusOf(event)
    if (status) last.set(status.eventId, event)
  }
  return events.filter(event => {
    const status = statusOf(event)
    return status === null || last.get(status.eventId) === event
  })
}
