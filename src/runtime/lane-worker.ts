/**
 * Works off both queues. A lane is work done in order: messages to one recipient, or deliveries to
 * one endpoint and chat. Due lanes are claimed together, worked off side by side, and given back.
 *
 * A lane is its holder's until it is given back, however long that takes. One process at a time
 * works on a database, so leases found when a run begins are abandoned, and are freed.
 */
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { timeOrderedId } from '../lib/tokens.ts'
import { Nudge, type Worker } from './worker.ts'

/** The rows of lanes. A lane has a row for as long as work waits in it. */
export interface LaneQueue<Lane> {
  /**
   * Gives a lane back if this lease still holds it.
   * @param dueAt when its next item, if any, may be tried
   */
  release(lane: Lane, dueAt: number): Promise<void>
  /** @returns when to claim again after a claim that found nothing; null when nothing waits */
  nextDueAt(claimedAt: number): Promise<number | null>
  /** Frees all leases: their holders are gone. */
  releaseAbandoned(now: number): Promise<void>
}

export interface LaneClaim {
  leaseId: string
  now: number
  maxLanes: number
}

/** How an item ended. */
export interface ItemEnd {
  /** The write of what became of it: the next item doesn't wait for it, the lane's end does. */
  settling?: Promise<unknown>
  /** Nothing more of the lane is tried before this time; without it the next item has its turn. */
  heldUntil?: number
  /** How many of the items behind it were done with it. */
  alsoDone?: number
}

export interface LaneWorkerOptions<Lane, Item> {
  name: string
  queue: LaneQueue<Lane>
  /** Lanes in flight at a time. */
  maxLanes: number
  claim(request: LaneClaim): Promise<Lane[]>
  /** In order. */
  itemsOf(lane: Lane): readonly Item[]
  /** Begins a lane. @returns a function that does an item, perhaps with some behind it */
  begin(lane: Lane): (item: Item, behind: readonly Item[]) => Promise<ItemEnd>
  /** The lane is no longer in flight. */
  ended?(lane: Lane): void
  /** Calls `wake` whenever a lane may have come due. @returns a function that ends that */
  listen(wake: () => void): () => void
  /** Fields for a log line about a lane, without anybody's address. */
  describe(lane: Lane): Record<string, unknown>
  clock: Clock
  logger: Logger
}

/** Lanes that come due within this time share a claim, which costs as much as several items. */
const CLAIM_SPACING_MS = 2
/** How often due lanes are looked for that no nudge told of, in milliseconds. */
const POLL_MS = 5_000
/** Between tries to give a lane back, when that fails. */
const GIVE_BACK_RETRY = { baseMs: 100, capMs: 2_000 }

export function createLaneWorker<Lane, Item>(options: LaneWorkerOptions<Lane, Item>): Worker {
  const { name, queue, maxLanes, clock, logger } = options
  const nudge = new Nudge()
  const inFlight = new Set<Promise<void>>()

  /** Does a lane's items in order. The next begins while the one before is being settled. */
  async function work(lane: Lane, signal: AbortSignal): Promise<void> {
    const settling: Promise<unknown>[] = []
    const doItem = options.begin(lane)
    let dueAt = clock.now()
    let [item, ...behind] = options.itemsOf(lane)
    while (item !== undefined && !signal.aborted) {
      const end: ItemEnd = await doItem(item, behind)
      ;[item, ...behind] = behind.slice(end.alsoDone ?? 0)
      if (end.settling !== undefined) settling.push(end.settling)
      // It is awaited below: failing before that, it would count as an unhandled rejection.
      end.settling?.catch(() => undefined)
      if (end.heldUntil === undefined) continue
      dueAt = end.heldUntil
      break
    }
    // Writes keep their order, so the lane goes back in the commit of its last settlement.
    settling.push(queue.release(lane, dueAt))
    await Promise.all(settling)
  }

  /**
   * Keeps trying, or the lane would be lost until the next start; after the abort, that finds it.
   */
  async function keepGivingBack(lane: Lane, signal: AbortSignal): Promise<void> {
    for (let failures = 1; !signal.aborted; failures++) {
      await clock.sleep(backoffMs(failures, GIVE_BACK_RETRY), signal)
      const isBack = await queue.release(lane, clock.now()).then(
        () => true,
        () => false,
      )
      if (isBack) return
    }
  }

  function start(lane: Lane, signal: AbortSignal): void {
    const run = work(lane, signal)
      .catch(error => {
        const fields = { worker: name, ...options.describe(lane), err: error }
        logger.error(fields, 'a lane could not be settled; it is tried again')
        // An item that was done and couldn't be settled is done again, under the same id.
        return keepGivingBack(lane, signal)
      })
      .finally(() => {
        inFlight.delete(run)
        options.ended?.(lane)
        nudge.nudge()
      })
    inFlight.add(run)
  }

  /** @returns whether there were lanes to claim */
  async function claim(now: number, signal: AbortSignal): Promise<boolean> {
    const free = maxLanes - inFlight.size
    if (free === 0) return false
    const lanes = await options.claim({ leaseId: timeOrderedId('lease_'), now, maxLanes: free })
    for (const lane of lanes) start(lane, signal)
    return lanes.length > 0
  }

  async function idleMs(claimedAt: number): Promise<number> {
    // With every lane in use, the end of one wakes us.
    const dueAt = inFlight.size === maxLanes ? null : await queue.nextDueAt(claimedAt)
    return dueAt === null ? POLL_MS : Math.min(POLL_MS, Math.max(1, dueAt - clock.now()))
  }

  async function run(signal: AbortSignal): Promise<void> {
    const endListening = options.listen(() => nudge.nudge())
    try {
      await queue.releaseAbandoned(clock.now())
      while (!signal.aborted) {
        const now = clock.now()
        if (await claim(now, signal)) await clock.sleep(CLAIM_SPACING_MS, signal)
        else await nudge.wait(clock, await idleMs(now), signal)
      }
    } finally {
      endListening()
      // The next run takes every lease for abandoned, so none of ours may be in use any more.
      await Promise.all(inFlight)
    }
  }

  return { name, run }
}
