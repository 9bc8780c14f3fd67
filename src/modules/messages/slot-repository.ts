/** SQL of a device's pace: the slots in which its lanes may send, given out one after the other. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devicePaces, devices, outboxLanes } from '../../db/schema/index.ts'
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

/** Slots that were given to lanes in which nothing waits any more, and so go to those that do wait. */
export interface SlotReturns {
  /** Devices that have a pace: any of them may have such slots when a process begins. */
  pacedDevices(): Promise<string[]>
  /**
   * Lets a device's lanes move up into slots that nobody uses, in their order, and takes the last ones back, as if they hadn't been given. What is
   * sent then was to be sent by then anyway, so the pace is kept whatever its jitter was.
   * @returns whether there were any
   */
  close(deviceRowId: string, paceOf: (platform: string) => Pace): Promise<boolean>
}

export function createSlotReturns({ orm, committer }: Pick<Db, 'orm' | 'committer'>): SlotReturns {
  const param = sql.placeholder
  const paced = orm.select({ deviceRowId: devicePaces.deviceRowId }).from(devicePaces).prepare()
  const platformOf = orm
    .select({ platform: devices.platform })
    .from(devices)
    .where(eq(devices.id, param('deviceRowId')))
    .prepare()
  const heldSlots = orm
    .select({
      lane: outboxLanes.lane,
      at: outboxLanes.dueAt,
      waits: sql<number>`exists (select 1 from messages where messages.lane = outbox_lanes.lane
        and messages.status in ('queued', 'sending'))`,
    })
    .from(outboxLanes)
    .where(and(isLaneOfDevice(), eq(outboxLanes.hasSlot, true)))
    .prepare()
  const moveSlot = orm
    .update(outboxLanes)
    .set({ dueAt: sql`${param('at')}` })
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const closeLane = orm
    .delete(outboxLanes)
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const restSooner = orm
    .update(devicePaces)
    .set({ restAt: sql`min(${devicePaces.restAt}, ${param('restAt')})` })
    .where(eq(devicePaces.deviceRowId, param('deviceRowId')))
    .prepare()

  return {
    pacedDevices: async () => paced.all().map(({ deviceRowId }) => deviceRowId),

    close: (deviceRowId, paceOf) =>
      committer.write(() => {
        const device = platformOf.get({ deviceRowId })
        const held = heldSlots.all(lanesOf(deviceRowId)).sort(soonestFirst)
        const waiting = held.filter(({ waits }) => waits === 1)
        const firstUnused = held[waiting.length]
        if (!device || !firstUnused) return false
        for (const { lane, waits } of held) if (waits === 0) closeLane.run({ lane })
        for (const [index, { lane, at }] of waiting.entries()) {
          const sooner = held[index]?.at ?? at
          if (sooner < at) moveSlot.run({ lane, at: sooner })
        }
        const { intervalMs, burst } = paceOf(device.platform)
        // What `nextSlot` made the slot of.
        restSooner.run({ deviceRowId, restAt: firstUnused.at + (burst - 1) * intervalMs })
        return true
      }),
  }
}

function soonestFirst(one: { lane: string; at: number }, other: { lane: string; at: number }): number {
  return one.at - other.at || (one.lane < other.lane ? -1 : 1)
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
