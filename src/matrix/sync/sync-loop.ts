/**
 * One identity's /sync: asks, stores the answer with its position, asks from there. A position is
 * used once its events are on disk; one that brought nothing stays in memory for a while.
 */
import { messageOf } from '../../domain/errors.ts'
import type { RoomEvent, SyncPosition, TypingNotice } from '../../domain/ports.ts'
import { after, type Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { readReceipts, readTyping } from '../ephemeral.ts'
import { AnswerNotTaken } from '../http-api.ts'
import type { MatrixCalls } from '../matrix-calls.ts'
import { pauseAfter } from '../retry-when-limited.ts'
import type { ReadReceipt, RoomEventBatch, RoomEventSink } from '../room-event.ts'
import { missedEvents } from './gap.ts'
import {
  ephemeralOf,
  eventsOf,
  FILTER,
  invitationEvents,
  memberEvent,
  SPARING_FILTER,
  type SyncResponse,
  syncCall,
  syncResponse,
} from './sync-response.ts'

export interface SyncLoopOptions {
  calls: MatrixCalls
  sink: RoomEventSink
  /** Runs requests that don't wait, a few at a time: after an outage all loops catch up at once. */
  inSlot<T>(work: () => Promise<T>): Promise<T>
  clock: Clock
  logger: Logger
}

type Told = Pick<RoomEventBatch, 'events' | 'receipts'> & { typing: TypingNotice[] }

/** How a loop is doing. */
export interface SyncState {
  /** Time of the homeserver's last answer, in ms since the Unix epoch; null: none yet. */
  lastSyncAt: number | null
  /** Why the last request failed; null after one that didn't. */
  failure: string | null
}

/** How long the homeserver keeps a request open when there is nothing to tell. */
const LONG_POLL_MS = 30_000
/** A request that isn't answered this long after that is given up. */
const ANSWER_PATIENCE_MS = 30_000
const RETRY = { baseMs: 1_000, capMs: 60_000, jitter: 0.5 }
/** An empty token is written this late: it only saves the homeserver work after a restart. */
const IDLE_TOKEN_MS = 600_000

export class SyncLoop {
  readonly state: SyncState = { lastSyncAt: null, failure: null }
  private readonly userId: string
  private since: string | null
  private storedAt: number
  /** After an answer that was larger than we take: what it leaves out is fetched chat by chat. */
  private isSparing = false
  private readonly stopping = new AbortController()

  constructor(
    position: SyncPosition,
    private readonly options: SyncLoopOptions,
    /** Told when it begins to fail and when it works again. */
    private readonly onChange: (state: SyncState) => void,
  ) {
    this.userId = position.userId
    this.since = position.since
    this.storedAt = options.clock.now()
  }

  /** Ends the loop, and the request under way. */
  stop(): void {
    this.stopping.abort()
  }

  /** Resolves when it was stopped. */
  async run(): Promise<void> {
    const { clock, inSlot } = this.options
    const { signal } = this.stopping
    let isBehind = true
    for (let failures = 0; !signal.aborted; ) {
      try {
        // The first answer comes at once, and says that the loop works.
        if (isBehind) await inSlot(() => this.step(0))
        else await this.step(LONG_POLL_MS)
        isBehind = false
        failures = 0
        this.isSparing = false
        this.note(null)
      } catch (error) {
        if (signal.aborted) break
        failures += 1
        isBehind = true
        this.isSparing = error instanceof AnswerNotTaken
        this.note(messageOf(error))
        await clock.sleep(pauseAfter(error, failures, RETRY), signal)
      }
    }
  }

  private note(failure: string | null): void {
    const before = this.state.failure
    this.state.failure = failure
    if (failure === null) this.state.lastSyncAt = this.options.clock.now()
    if ((before === null) !== (failure === null)) this.onChange(this.state)
  }

  private async step(timeoutMs: number): Promise<void> {
    const { sink, clock } = this.options
    if (this.stopping.signal.aborted) return
    const response = await this.request(timeoutMs)
    const { events, receipts, typing } = await this.told(response)
    const nextBatch = response.next_batch
    const isIdle = this.since !== null && events.length === 0 && receipts.length === 0
    if (!isIdle || clock.now() - this.storedAt > IDLE_TOKEN_MS) {
      await sink.accept({ position: { kind: 'sync', userId: this.userId, nextBatch }, events, receipts })
      this.storedAt = clock.now()
    }
    sink.typing?.(typing, this.userId)
    this.since = nextBatch
  }

  private async request(timeoutMs: number): Promise<SyncResponse> {
    const { calls, clock } = this.options
    const late = new AbortController()
    const answered = after(clock, timeoutMs + ANSWER_PATIENCE_MS, () => late.abort())
    const signal = AbortSignal.any([this.stopping.signal, late.signal])
    const filter = this.since === null || this.isSparing ? SPARING_FILTER : FILTER
    const call = { ...syncCall(filter, timeoutMs, this.since), signal }
    try {
      const response = await calls.raw(this.userId, 'sync', call, { patienceMs: 0 })
      return syncResponse.parse(await response.json())
    } finally {
      answered()
    }
  }

  /** Facts of a response. The first one gives a position and the user's rooms, no messages. */
  private async told({ rooms }: SyncResponse): Promise<Told> {
    const { userId, since } = this
    const events: RoomEvent[] = []
    const receipts: ReadReceipt[] = []
    const typing: TypingNotice[] = []
    for (const [roomId, { invite_state: state }] of Object.entries(rooms.invite))
      events.push(...invitationEvents(roomId, userId, state.events))
    for (const [roomId, room] of Object.entries(rooms.join)) {
      if (since === null) {
        events.push(memberEvent(roomId, userId, userId, { membership: 'join' }))
        continue
      }
      events.push(...eventsOf(roomId, room, await this.missed(roomId, room.timeline, since)))
      const ephemeral = ephemeralOf(roomId, room)
      receipts.push(...readReceipts(ephemeral))
      typing.push(...readTyping(ephemeral))
    }
    for (const [roomId, room] of Object.entries(rooms.leave)) {
      if (since !== null)
        events.push(...eventsOf(roomId, room, await this.missed(roomId, room.timeline, since)))
      events.push(memberEvent(roomId, userId, userId, { membership: 'leave' }))
    }
    return { events, receipts, typing }
  }

  private async missed(
    roomId: string,
    { limited, prev_batch: from }: SyncResponse['rooms']['join'][string]['timeline'],
    since: string,
  ): Promise<RoomEvent[]> {
    if (!limited || from === undefined) return []
    const { calls, logger } = this.options
    return missedEvents(calls, logger, { userId: this.userId, roomId, from, to: since })
  }
}
