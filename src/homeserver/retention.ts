/** Forgets old events and media, some at a time. */
import { type ForgottenRows, forgetAged } from '../lib/aged-rows.ts'
import { type Paging, pagesOf } from '../lib/pages.ts'
import { TurnBudget } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'
import { timeOfEventId } from './identifiers.ts'
import type { AgedRow } from './store/events.ts'
import type { MediaAge, StatePlace } from './store/media.ts'

/**
 * Forgets old events, in one step of its own transaction. State stays, because rooms consist of it,
 * and so do events an appservice hasn't acknowledged. A removed event is only missing from the
 * history: receipts, redactions and relations may still name it.
 * @param after the position at which the last step ended
 * @param before in milliseconds since 1970; older events may go
 */
export function forgetEvents(core: Core, after: number, before: number): Promise<ForgottenRows> {
  return core.commit(() => {
    const isAcknowledged = acknowledgedEvents(core)
    let isFirst = true
    return forgetAged<AgedRow>(
      {
        read: core.events.aged,
        positionOf: row => row.stream_id,
        isOld: row => agedAt(row) < before,
        forget(row) {
          if (row.is_state === 1) return 'stays'
          if (!isAcknowledged(row)) return 'waits'
          // The newest event may go, but its number must not be reused.
          if (isFirst) core.events.keepCounter(core.stream.position)
          isFirst = false
          core.events.remove(row.stream_id)
          if (row.is_message === 1) core.events.noteForgotten(row.room)
          return 'gone'
        },
      },
      after,
    )
  })
}

/** When the server took the event: an appservice may have given it another time. */
function agedAt({ event_id: eventId, origin_server_ts: claimed, taken_at: takenAt }: AgedRow): number {
  return takenAt ?? Math.max(claimed, timeOfEventId(eventId) ?? 0)
}

/** @returns a test whether all appservices interested in an event have acknowledged it */
export function acknowledgedEvents(core: Core): (row: AgedRow) => boolean {
  const acknowledged = new Map(core.appserviceRows.all().map(({ num, position }) => [num, position]))
  return ({ stream_id: streamId, interest }) => {
    const nums = interest === null ? [] : interest.split(',').map(Number)
    return nums.every(num => (acknowledged.get(num) ?? Number.POSITIVE_INFINITY) >= streamId)
  }
}

/** Rows per step: a few milliseconds. */
const STEP = 200

/**
 * Forgets old media. It stays while a profile, a room's current state or a kept event names it: a
 * young event, or one an appservice hasn't acknowledged. Older events may then name missing media,
 * as on any homeserver that keeps media for a time.
 * @param before in milliseconds since 1970
 * @param signal ends it early
 * @returns how many files were removed
 */
export async function forgetMedia(core: Core, before: number, signal: AbortSignal): Promise<number> {
  const read = (after: MediaAge, limit: number) => core.media.olderThan({ ...after, before, limit })
  const aged = { read, placeOf: (row: MediaAge) => row, start: { created_at: -1, media_id: '' }, size: STEP }
  if (read(aged.start, 1).length === 0) return 0
  const isAcknowledged = acknowledgedEvents(core)
  const named = new NamedMedia(core, event => agedAt(event) >= before || !isAcknowledged(event))
  await named.readAll(signal)
  let removed = 0
  for await (const rows of pagesOf(aged, new TurnBudget())) {
    if (signal.aborted) break
    await named.readEvents(signal)
    const old = await core.commit(() => {
      // Includes events of this very moment, which may name an old file again.
      while (named.readNewEvents());
      const ids = rows.map(({ media_id: id }) => id).filter(id => !named.ids.has(id))
      for (const id of ids) core.media.remove(id)
      return ids
    })
    // After the commit: the next start removes a file without a row.
    for (const id of old) await core.files.discard(id)
    removed += old.length
  }
  return removed
}

/** Finds the ids of media that must stay: in profiles, current state, and the events that do. */
export class NamedMedia {
  readonly ids = new Set<string>()
  /** Events up to this position were read. */
  private position = 0
  private readonly uri: RegExp

  /** @param isKept tells of an event whether its media must stay */
  constructor(
    private readonly core: Core,
    private readonly isKept: (event: AgedRow) => boolean,
  ) {
    this.uri = new RegExp(`mxc://${RegExp.escape(core.serverName)}/([A-Za-z0-9_-]+)`, 'g')
  }

  async readAll(signal: AbortSignal): Promise<void> {
    const { profiles, states } = this.core.media
    await this.notePages({ read: profiles, placeOf: user => user.user_id, start: '', size: STEP }, signal)
    const read = (after: StatePlace, limit: number) => states({ ...after, limit })
    const start = { room: 0, type: '', state_key: '' }
    await this.notePages({ read, placeOf: state => state, start, size: STEP }, signal)
    await this.readEvents(signal)
  }

  private async notePages<Row extends { text: string | null }, Place>(
    rows: Paging<Row, Place>,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const page of pagesOf(rows, new TurnBudget())) {
      if (signal.aborted) return
      for (const { text } of page) this.note(text)
    }
  }

  async readEvents(signal: AbortSignal): Promise<void> {
    const turn = new TurnBudget()
    while (!signal.aborted && this.readNewEvents()) await turn.pause()
  }

  /** Reads some unread events. @returns true when there may be more */
  readNewEvents(): boolean {
    const rows = this.core.events.naming(this.position, STEP)
    for (const row of rows) if (row.content !== null && this.isKept(row)) this.note(row.content)
    this.position = rows.at(-1)?.stream_id ?? this.position
    return rows.length === STEP
  }

  note(text: string | null): void {
    for (const [, id = ''] of text?.matchAll(this.uri) ?? []) this.ids.add(id)
  }
}
