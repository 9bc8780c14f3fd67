/**
 * The event feed: clients fetch the events that webhooks get, in order and without gaps, also after
 * they were away.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { LiveEvent } from '../../domain/events.ts'
import { EVENT_NAMES, LIVE_EVENT_NAMES } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import { ConnectionPlaces } from '../../lib/connection-places.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { Arrivals } from './arrivals.ts'
import type { Cursors } from './cursor.ts'
import type { FeedEvent, FeedPage, FeedReader, FeedRequest, Payloads, Senders } from './events.ts'
import type { FeedBounds, FeedRepository, FeedRow, Wanted } from './feed-repository.ts'
import type { LiveEvents } from './live-events.ts'

export interface FeedOptions {
  repository: FeedRepository
  arrivals: Pick<Arrivals, 'watch'>
  payloads: Payloads
  live: Pick<LiveEvents, 'listen'>
  cursors(): Promise<Cursors>
  clock: Clock
}

const BUSY_RETRY_S = 5
/** Events found in one go. */
const STEP = 500
/** Events loaded in one go: their texts may be long. */
const LOADED_STEP = 32
/** A page ends with the event that makes it larger than this, in characters. */
const MAX_PAGE_SIZE = 1024 * 1024
/** A reader that is this many events behind the moment misses some. */
const MAX_PASSING = 100
/** How often a waiting reader looks by itself. */
const LOOK_MS = 5_000
/** Precision of the time at which the feed was last read. */
const READ_NOTED_MS = 3_600_000

export type Feed = ReturnType<typeof createFeed>

export function createFeed(options: FeedOptions) {
  const { repository, arrivals, payloads, live, cursors, clock } = options
  const stopping = new AbortController()
  /** Each holds a connection. */
  const places = new ConnectionPlaces()
  const readers = new Set<Reader>()

  /** @returns where a reader begins. @throws GatewayError bad_request */
  async function startOf(
    identityId: string,
    after: string | undefined,
    { goneSeq, newestSeq }: FeedBounds,
  ): Promise<number> {
    if (after === undefined) return goneSeq
    if (after === 'now') return Math.max(goneSeq, newestSeq)
    const seq = (await cursors()).decode(identityId, after)
    if (seq !== null) return seq
    throw new GatewayError('bad_request', 'after: expected the id of an event of this feed, or now')
  }

  /** @throws GatewayError gone */
  async function refuseGap(identityId: string, seq: number, { goneSeq }: FeedBounds): Promise<void> {
    if (seq >= goneSeq) return
    const oldest = (await cursors()).encode(identityId, goneSeq)
    const what = `after: events that followed it are no longer kept; what is kept begins after ${oldest}`
    throw new GatewayError('gone', what, undefined, { oldest })
  }

  /** Reads from a place on, which it moves. */
  class Reader implements FeedReader {
    private isClosed = false
    /** Events that aren't kept, and wait to be read; the oldest give way. */
    private passing: FeedEvent[] = []
    private readonly unlisten: () => void
    /** Ends a wait. */
    wake: () => void = () => undefined

    constructor(
      private readonly identityId: string,
      private seq: number,
      private readonly wanted: Wanted,
      private readonly leave: () => void,
    ) {
      readers.add(this)
      this.unlisten = asksForLive(wanted)
        ? live.listen(identityId, event => this.hear(event))
        : () => undefined
    }

    private hear(payload: LiveEvent): void {
      this.passing.push({ id: '', event: payload.event, payload: JSON.stringify(payload) })
      if (this.passing.length > MAX_PASSING) this.passing.shift()
      this.wake()
    }

    async next(limit: number, waitMs: number): Promise<FeedPage> {
      const deadline = clock.steady() + waitMs
      for (;;) {
        const arrival = this.arrival()
        try {
          const bounds = await repository.bounds(this.identityId)
          await refuseGap(this.identityId, this.seq, bounds)
          await this.noteRead(bounds.readAt)
          const events = await this.read(limit)
          events.push(...this.passing.splice(0))
          const leftMs = deadline - clock.steady()
          if (events.length > 0 || leftMs <= 0 || this.isOver()) return await this.page(events)
          await arrival.wait(Math.min(leftMs, LOOK_MS))
        } finally {
          arrival.end()
        }
      }
    }

    close(): void {
      this.isClosed = true
      readers.delete(this)
      this.unlisten()
      this.leave()
      this.wake()
    }

    private isOver(): boolean {
      return this.isClosed || stopping.signal.aborted
    }

    private async page(events: FeedEvent[]): Promise<FeedPage> {
      return { events, next: (await cursors()).encode(this.identityId, this.seq) }
    }

    /** Reads up to `limit` of the wanted events, and moves behind them. */
    private async read(limit: number): Promise<FeedEvent[]> {
      const found: FeedEvent[] = []
      const senders: Senders = new Map()
      const turn = new TurnBudget()
      let size = 0
      for (;;) {
        const step = Math.min(STEP, limit - found.length)
        const { events, upTo, more } = await repository.names(this.identityId, this.seq, this.wanted, step)
        let rows = new Map<number, FeedRow>()
        for (const [index, { seq }] of events.entries()) {
          if (index % LOADED_STEP === 0)
            rows = await repository.events(events.slice(index, index + LOADED_STEP).map(event => event.seq))
          const row = rows.get(seq)
          const event = row ? await this.load(row, senders, found.length === 0) : null
          if (event === 'later') return found
          if (event) size += event.payload.length
          if (event) found.push(event)
          this.seq = seq
          if (found.length >= limit || size > MAX_PAGE_SIZE) return found
          await turn.pause()
        }
        this.seq = upTo
        if (!more || this.isOver()) return found
      }
    }

    /** @returns null for no event of the feed; `later` to end the page: the next begins with it */
    private async load(
      row: FeedRow,
      senders: Senders,
      isFirst: boolean,
    ): Promise<FeedEvent | null | 'later'> {
      const { seq, name } = row
      if (name === 'webhook.test') return null
      try {
        const id = (await cursors()).encode(this.identityId, seq)
        return { id, event: name, payload: await payloads.of(row, undefined, senders) }
      } catch (error) {
        // A file can't be fetched now. Events before it needn't wait.
        if (isFirst) throw error
        return 'later'
      }
    }

    /** Writes once an hour, for all readers. While the disk is full, reading goes on without it. */
    private async noteRead(notedAt: number): Promise<void> {
      const now = clock.now()
      if (Math.abs(now - notedAt) < READ_NOTED_MS) return
      await repository.noteRead(this.identityId, now).catch(() => undefined)
    }

    /** Listens from now on, so that events that come during the read count. */
    private arrival() {
      const woken = new AbortController()
      this.wake = () => woken.abort()
      const end = arrivals.watch(this.identityId, this.wake)
      return { wait: (ms: number) => clock.sleep(ms, woken.signal), end }
    }
  }

  return {
    /** Aborted when the gateway stops: streams must end. */
    stopping: stopping.signal,

    stop(): void {
      stopping.abort()
      for (const reader of readers) reader.wake()
    },

    /**
     * @throws GatewayError bad_request (`after` or an event's name), gone (older than what is kept;
     * `details.oldest` is where to go on), too_many_requests (too many readers at a time)
     */
    async open(identityId: string, { after, events, isLive }: FeedRequest): Promise<FeedReader> {
      const wanted = events === undefined ? 'default' : wantedOf(events, isLive === true)
      const bounds = await repository.bounds(identityId)
      const seq = await startOf(identityId, after, bounds)
      await refuseGap(identityId, seq, bounds)
      const place = places.take(identityId, 'readers of the feed')
      if (typeof place === 'string') throw new GatewayError('too_many_requests', place, BUSY_RETRY_S)
      return new Reader(identityId, seq, wanted, place)
    },
  }
}

/** @throws GatewayError bad_request */
function wantedOf(names: readonly string[], isLive: boolean): Wanted {
  const live = names.find(isOfMoment)
  if (live !== undefined && !isLive) {
    const what = `events: ${live} isn't kept: read it with Accept: text/event-stream`
    throw new GatewayError('bad_request', what)
  }
  const unknown = names.find(name => !isOfMoment(name) && !KNOWN.includes(name))
  if (unknown === undefined && names.length > 0) {
    if (!names.includes('*')) return new Set(names)
    return live === undefined ? 'all' : 'all and live'
  }
  const what = unknown === undefined ? '' : `"${unknown}" is unknown: `
  const expected = [...EVENT_NAMES, ...(isLive ? LIVE_EVENT_NAMES : [])].join(', ')
  throw new GatewayError('bad_request', `events: ${what}expected names of ${expected}, or *`)
}

const KNOWN: readonly string[] = [...EVENT_NAMES, '*']

function isOfMoment(name: string): boolean {
  return LIVE_EVENT_NAMES.some(live => live === name)
}

function asksForLive(wanted: Wanted): boolean {
  return typeof wanted === 'string'
    ? wanted === 'all and live'
    : LIVE_EVENT_NAMES.some(name => wanted.has(name))
}
