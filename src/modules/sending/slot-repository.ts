/** SQL of a device's pace: the slots in which its lanes may send, given out one after the other. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devicePaces, devices, outboxLanes } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { isLaneOfDevice, lanesOf, restAtOf } from './lane-repository.ts'
import { nextSlot, type Pace } from './pace.ts'

/** A lane whose time has come, as far as its slot depends on it. */
export interface DueLane {
  lane: string
  deviceRowId: string
  /** True when `dueAt` is a slot that was given to it. */
  hasSlot: boolean
  dueAt: number
}

/** Slots that were given to lanes in which nothing waits any more, and so go to those that do wait. */
export interface SlotReturns {
  /** Devices that have a pace: any of them may have such slots when a process begins. */
  pacedDevices(): Promise<string[]>
  /**
   * Lets a device's lanes move up into slots that nobody uses, in their order, and takes the last
   * ones back, as if they hadn't been given. Messages that are sent then were to be sent by then
   * anyway, so the pace is kept whatever its jitter was.
   */
  close(deviceRowId: string, paceOf: (platform: string) => Pace): Promise<void>
}

const param = sql.placeholder
const ofDevice = eq(devicePaces.deviceRowId, param('deviceRowId'))
const ofLane = eq(outboxLanes.lane, param('lane'))
const withSlot = and(isLaneOfDevice(), eq(outboxLanes.hasSlot, true))

const paced = statement(orm => orm.select({ deviceRowId: devicePaces.deviceRowId }).from(devicePaces))
const platformOf = statement(orm =>
  orm
    .select({ platform: devices.platform })
    .from(devices)
    .where(eq(devices.id, param('deviceRowId'))),
)
const heldSlots = statement(orm =>
  orm
    .select({
      lane: outboxLanes.lane,
      at: outboxLanes.dueAt,
      waits: sql<number>`exists (select 1 from messages where messages.lane = outbox_lanes.lane
        and messages.status in ('queued', 'sending'))`,
    })
    .from(outboxLanes)
    .where(withSlot),
)
const moveSlot = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ dueAt: sql`${param('at')}` })
    .where(ofLane),
)
const closeLane = statement(orm => orm.delete(outboxLanes).where(ofLane))
const restSooner = statement(orm =>
  orm
    .update(devicePaces)
    .set({ restAt: sql`min(${devicePaces.restAt}, ${param('restAt')})` })
    .where(ofDevice),
)
const setPace = statement(orm =>
  orm
    .insert(devicePaces)
    .values({ deviceRowId: param('deviceRowId'), restAt: param('restAt') })
    .onConflictDoUpdate({ target: devicePaces.deviceRowId, set: { restAt: sql`excluded.rest_at` } }),
)
const giveSlot = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}`, hasSlot: true })
    .where(ofLane),
)
const slotsInAll = statement(orm =>
  orm
    .select({ count: sql<number>`count(*)`, latest: sql<number | null>`max(${outboxLanes.dueAt})` })
    .from(outboxLanes)
    .where(withSlot),
)
const freeSlots = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ hasSlot: false, dueAt: sql`${outboxLanes.dueAt} - ${param('earlierBy')}` })
    .where(withSlot),
)

export function createSlotReturns(db: Pick<Db, 'read' | 'write'>): SlotReturns {
  return {
    async pacedDevices() {
      const found = await db.read(reader => reader.all(paced))
      return found.map(({ deviceRowId }) => deviceRowId)
    },

    close: (deviceRowId, paceOf) =>
      db.write(async tx => {
        const device = await tx.get(platformOf, { deviceRowId })
        const held = (await tx.all(heldSlots, lanesOf(deviceRowId))).sort(soonestFirst)
        const waiting = held.filter(({ waits }) => waits === 1)
        const firstUnused = held[waiting.length]
        if (!device || !firstUnused) return
        for (const { lane, waits } of held) if (waits === 0) await tx.run(closeLane, { lane })
        for (const [index, { lane, at }] of waiting.entries()) {
          const sooner = held[index]?.at ?? at
          if (sooner < at) await tx.run(moveSlot, { lane, at: sooner })
        }
        const { intervalMs, burst } = paceOf(device.platform)
        // `nextSlot` made the slot of it.
        await tx.run(restSooner, { deviceRowId, restAt: firstUnused.at + (burst - 1) * intervalMs })
        tx.emit('accepted')
      }),
  }
}

function soonestFirst(one: { lane: string; at: number }, other: { lane: string; at: number }): number {
  return one.at - other.at || (one.lane < other.lane ? -1 : 1)
}

/**
 * Takes a slot for a lane, now or later. A lane whose slot is later waits for it.
 * @param resting devices whose slots were taken back in this claim
 * @returns true when the lane may send one message now
 */
export async function takeSlot(
  tx: Tx,
  { lane, deviceRowId, hasSlot, dueAt }: DueLane,
  pace: Pace,
  now: number,
  resting: Set<string>,
): Promise<boolean> {
  if (hasSlot && !resting.has(deviceRowId)) {
    // Late slots may catch up, but with no more than a burst at once.
    if (now - dueAt <= pace.burst * pace.intervalMs) return true
    await takeSlotsBack(tx, deviceRowId, pace, now)
    resting.add(deviceRowId)
  }
  const slot = nextSlot(pace, await restAtOf(tx, deviceRowId), now)
  await tx.run(setPace, { deviceRowId, restAt: slot.restAt })
  if (slot.at <= now) return true
  await tx.run(giveSlot, { lane, dueAt: slot.at })
  return false
}

/**
 * The device's time to send went by unused: nothing ran, or everything was held up. Its lanes keep
 * their order, and share out slots anew from now on, as if none had been given.
 */
async function takeSlotsBack(tx: Tx, deviceRowId: string, { intervalMs }: Pace, now: number): Promise<void> {
  const lanes = lanesOf(deviceRowId)
  const held = await tx.get(slotsInAll, lanes)
  const restAt = (await restAtOf(tx, deviceRowId)) - (held?.count ?? 0) * intervalMs
  await tx.run(setPace, { deviceRowId, restAt })
  await tx.run(freeSlots, { ...lanes, earlierBy: Math.max(0, (held?.latest ?? 0) - now) })
}
