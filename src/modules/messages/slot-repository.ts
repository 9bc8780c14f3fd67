/** SQL of a device's pace: the slots in which its lanes may send, given out one after the other. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devicePaces, outboxLanes } from '../../db/schema/index.ts'
import { isLaneOfDevice, lanesOf } from './lane-repository.ts'
import { nextSlot, type Pace } from './pace.ts'

/** A lane whose time has come, as far as its slot depends on it. */
export interface DueLane {
  lane: string
  deviceRowId: string
  /** Whether `dueAt` is a slot that was given to it. */
  hasSlot: boolean
  dueAt: number
}

/**
 * Whether the lane may send one message now. If not, it waits for the slot that it is given here. To be called inside a transaction.
 * @param resting devices whose slots were taken back in this claim
 */
export type SlotTaker = (lane: DueLane, pace: Pace, now: number, resting: Set<string>) => boolean

/** When a device would be back at rest, as in `nextSlot`: 0 for one that never sent. */
export type RestReader = (deviceRowId: string) => number

export function createRestReader({ orm }: Pick<Db, 'orm'>): RestReader {
  const paceOfDevice = orm
    .select({ restAt: devicePaces.restAt })
    .from(devicePaces)
    .where(eq(devicePaces.deviceRowId, sql.placeholder('deviceRowId')))
    .prepare()
  return deviceRowId => paceOfDevice.get({ deviceRowId })?.restAt ?? 0
}

/**
 * Takes from lanes of a device the slots that they hold, as if from the first of these on none had been given. To be called inside a transaction.
 */
export type SlotGiver = (
  deviceRowId: string,
  lanes: ReadonlySet<string>,
  pace: Pick<Pace, 'intervalMs' | 'burst'>,
  now: number,
) => void

export function createSlotGiver({ orm }: Pick<Db, 'orm'>): SlotGiver {
  const param = sql.placeholder
  const slotOf = orm
    .select({ at: outboxLanes.dueAt })
    .from(outboxLanes)
    .where(
      and(eq(outboxLanes.lane, param('lane')), isNull(outboxLanes.leaseId), eq(outboxLanes.hasSlot, true)),
    )
    .prepare()
  const freeSlot = orm
    .update(outboxLanes)
    .set({ hasSlot: false, dueAt: sql`${param('now')}` })
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const restSooner = orm
    .update(devicePaces)
    .set({ restAt: sql`min(${devicePaces.restAt}, ${param('restAt')})` })
    .where(eq(devicePaces.deviceRowId, param('deviceRowId')))
    .prepare()
  return (deviceRowId, lanes, { intervalMs, burst }, now) => {
    let earliest: number | undefined
    for (const lane of lanes) {
      const slot = slotOf.get({ lane })
      if (!slot) continue
      freeSlot.run({ lane, now })
      earliest = Math.min(earliest ?? slot.at, slot.at)
    }
    // What `nextSlot` made the slot of.
    if (earliest !== undefined) restSooner.run({ deviceRowId, restAt: earliest + (burst - 1) * intervalMs })
  }
}

export function createSlotTaker({ orm }: Pick<Db, 'orm'>): SlotTaker {
  const param = sql.placeholder
  const restAtOf = createRestReader({ orm })
  const setPace = orm
    .insert(devicePaces)
    .values({ deviceRowId: param('deviceRowId'), restAt: param('restAt') })
    .onConflictDoUpdate({ target: devicePaces.deviceRowId, set: { restAt: sql`excluded.rest_at` } })
    .prepare()
  const giveSlot = orm
    .update(outboxLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}`, hasSlot: true })
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const heldSlots = orm
    .select({ count: sql<number>`count(*)`, latest: sql<number | null>`max(${outboxLanes.dueAt})` })
    .from(outboxLanes)
    .where(and(isLaneOfDevice(), eq(outboxLanes.hasSlot, true)))
    .prepare()
  const freeSlots = orm
    .update(outboxLanes)
    .set({ hasSlot: false, dueAt: sql`${outboxLanes.dueAt} - ${param('earlierBy')}` })
    .where(and(isLaneOfDevice(), eq(outboxLanes.hasSlot, true)))
    .prepare()

  /**
   * The device's time to send went by unused: nothing ran, or everything was held up. Its lanes keep their order, and share out slots anew from
   * now on, as if none had been given.
   */
  function takeSlotsBack(deviceRowId: string, { intervalMs }: Pace, now: number): void {
    const lanes = lanesOf(deviceRowId)
    const held = heldSlots.get(lanes)
    setPace.run({ deviceRowId, restAt: restAtOf(deviceRowId) - (held?.count ?? 0) * intervalMs })
    freeSlots.run({ ...lanes, earlierBy: Math.max(0, (held?.latest ?? 0) - now) })
  }

  return ({ lane, deviceRowId, hasSlot, dueAt }, pace, now, resting) => {
    if (hasSlot && !resting.has(deviceRowId)) {
      // Late slots may catch up, but with no more than a burst at once.
      if (now - dueAt <= pace.burst * pace.intervalMs) return true
      takeSlotsBack(deviceRowId, pace, now)
      resting.add(deviceRowId)
    }
    const slot = nextSlot(pace, restAtOf(deviceRowId), now)
    setPace.run({ deviceRowId, restAt: slot.restAt })
    if (slot.at <= now) return true
    giveSlot.run({ lane, dueAt: slot.at })
    return false
  }
}
