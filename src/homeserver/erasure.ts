/**
 * Forgets what was said in one room, at once, as `retention.ts` does when it is old: state stays,
 * and so do events that an appservice hasn't acknowledged.
 */
import { pagesOf } from '../lib/pages.ts'
import { TurnBudget } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'
import { acknowledgedEvents, NamedMedia } from './retention.ts'
import type { AgedRow } from './store/events.ts'

/** Events per step, and those removed in one commit. */
const STEP = 200
const COMMIT = 50

/**
 * Media goes first: after a kill the events that name it are still there to be found again.
 * @returns how many events an appservice hasn't acknowledged
 */
export async function eraseRoom(core: Core, roomId: string): Promise<number> {
  const room = core.events.roomById(roomId)?.room
  if (room === undefined) return 0
  const through = core.stream.position
  const isAcknowledged = acknowledgedEvents(core)
  const goes = (event: AgedRow) =>
    event.room === room && event.stream_id <= through && event.is_state === 0 && isAcknowledged(event)
  const { ids } = await mediaNamed(core, room, goes)
  if (ids.size > 0) await removeMedia(core, ids, goes)
  return removeEvents(core, room, through, goes)
}

function eventsOf(core: Core, room: number) {
  const read = (after: number, limit: number) => core.events.ofRoom(room, after, limit)
  const start = Number.MIN_SAFE_INTEGER
  return pagesOf({ read, placeOf: ({ position }) => position, start, size: STEP }, new TurnBudget())
}

async function mediaNamed(core: Core, room: number, goes: (event: AgedRow) => boolean): Promise<NamedMedia> {
  const named = new NamedMedia(core, goes)
  for await (const page of eventsOf(core, room))
    for (const event of page) if (event.content !== null && goes(event)) named.note(event.content)
  return named
}

/** Unless something else names it. */
async function removeMedia(
  core: Core,
  ids: ReadonlySet<string>,
  goes: (event: AgedRow) => boolean,
): Promise<void> {
  const named = new NamedMedia(core, event => !goes(event))
  const stopping = core.stopping.signal
  await named.readAll(stopping)
  if (stopping.aborted) return
  const all = [...ids]
  for (let first = 0; first < all.length; first += COMMIT) {
    const removed = await core.commit(() => {
      while (named.readNewEvents());
      const unnamed = all.slice(first, first + COMMIT).filter(id => !named.ids.has(id))
      for (const id of unnamed) core.media.remove(id)
      return unnamed
    })
    // After the commit: the next start removes a file without a row.
    for (const id of removed) await core.files.discard(id)
  }
}

async function removeEvents(
  core: Core,
  room: number,
  through: number,
  goes: (event: AgedRow) => boolean,
): Promise<number> {
  let kept = 0
  for await (const page of eventsOf(core, room)) {
    const said = page.filter(event => event.is_state === 0 && event.stream_id <= through)
    const old = said.filter(goes)
    kept += said.length - old.length
    for (let first = 0; first < old.length; first += COMMIT) {
      await core.commit(() => {
        // The newest event may go, but its number must not be reused.
        core.events.keepCounter(core.stream.position)
        for (const event of old.slice(first, first + COMMIT)) {
          core.events.remove(event.stream_id)
          if (event.is_message === 1) core.events.noteForgotten(event.room)
        }
      })
    }
  }
  return kept
}
