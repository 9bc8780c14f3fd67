/**
 * SQL of lanes: how messages come into them, and what waits in them. A lane holds the messages of one
 * device to one recipient, which are sent in order.
 */
import { eq, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { devicePaces, devices, type Message, messages, outboxLanes } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { backoffMs } from '../../lib/backoff.ts'

export interface WaitingMessages {
  /** How many messages wait to be sent, by identity. */
  countByIdentity(): Promise<Map<string, number>>
  /** What waits for a device, by lane: at most a few thousand lanes, beyond which an estimate is too early. */
  deviceQueue(deviceRowId: string): Promise<DeviceQueue>
  /** How many messages wait before each of these in its lane, by `seq`. */
  placesInLane(queued: readonly Pick<Message, 'seq' | 'lane'>[]): Promise<Map<number, number>>
}

export interface DeviceQueue {
  /** As in `nextSlot`. */
  restAt: number
  lanes: readonly QueuedLane[]
  /** False: there are more lanes than these. */
  isWhole: boolean
}

/** A lane of a device, as far as its turns depend on it. */
export interface QueuedLane {
  lane: string
  /** Messages that are queued or being sent. */
  waiting: number
  dueAt: number
  /** Whether `dueAt` is a slot that was given to it. */
  hasSlot: boolean
  /** Whether its first message is being sent just now. */
  leased: boolean
}

/** Of a device, to tell when a message is due. */
const MAX_LANES_LOOKED_AT = 5_000

// Counted within the index messages_waiting, whose lanes begin with their device.
const waitingByIdentity = statement(orm =>
  orm
    .select({ identityId: devices.identityId, count: sql<number>`sum(lanes.count)` })
    .from(
      sql`(select substr(lane, 1, instr(lane, '/') - 1) as device, count(*) as count from messages
        where status in ('queued', 'sending') group by lane) as lanes`,
    )
    .innerJoin(devices, sql`${devices.id} = lanes.device`)
    .groupBy(devices.identityId),
)
const queueOfDevice = statement(orm =>
  orm
    .select({
      lane: outboxLanes.lane,
      dueAt: outboxLanes.dueAt,
      hasSlot: outboxLanes.hasSlot,
      leaseId: outboxLanes.leaseId,
      waiting: sql<number>`(select count(*) from messages where messages.lane = outbox_lanes.lane
        and messages.status in ('queued', 'sending'))`,
    })
    .from(outboxLanes)
    .where(isLaneOfDevice())
    .limit(limitParam('limit')),
)
const waitingBetween = statement(orm =>
  orm
    .select({ count: sql<number>`count(*)` })
    .from(messages)
    .where(
      sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')
        and ${messages.seq} >= ${numberParam('from')} and ${messages.seq} < ${numberParam('before')}`,
    ),
)
const insertLane = statement(orm =>
  orm
    .insert(outboxLanes)
    .values({
      lane: sql.placeholder('lane'),
      deviceRowId: sql.placeholder('deviceRowId'),
      dueAt: sql.placeholder('dueAt'),
      leaseId: null,
      hasSlot: false,
    })
    .onConflictDoNothing(),
)

/**
 * Opens a lane in which a message begins to wait, and tells the outbox. A lane that exists keeps its
 * time: it waits for its slot or its retry, or its holder will see the message.
 */
export function openLane(tx: Tx, lane: { lane: string; deviceRowId: string; dueAt: number }): Promise<void> {
  tx.emit('accepted')
  return tx.run(insertLane, lane)
}

/**
 * All lanes of a device stand together in the primary key: their names begin with its id and a slash. Binds what `lanesOf` gives.
 * @param lane the column that names a lane: that of the lanes themselves, or that of the messages
 */
export function isLaneOfDevice(lane: SQLiteColumn = outboxLanes.lane): SQL {
  return sql`${lane} >= ${textParam('from')} and ${lane} < ${textParam('to')}`
}

/** The names of a device's lanes are from the first up to the second: `0` follows the slash. */
export function lanesOf(deviceRowId: string): { from: string; to: string } {
  return { from: `${deviceRowId}/`, to: `${deviceRowId}0` }
}

export type Resent = Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'resends'>

/** With a device that is connected; while it isn't, its messages wait without being counted. */
const MAX_RESENDS = 8
const RETRY = { baseMs: 2_000, capMs: 300_000 }

const again = statement(orm =>
  orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${sql.placeholder('reason')}`,
      eventId: null,
      resends: sql`${messages.resends} + 1`,
      failingSince: null,
      refusedSince: null,
      updatedAt: sql`${sql.placeholder('now')}`,
    })
    .where(eq(messages.seq, sql.placeholder('seq'))),
)

/** @returns false, with nothing done, when it was sent often enough */
export async function resend(
  tx: Tx,
  { seq, lane, deviceRowId, resends }: Resent,
  reason: string | null,
  now: number,
): Promise<boolean> {
  if (resends >= MAX_RESENDS) return false
  await tx.run(again, { seq, reason, now })
  await openLane(tx, { lane, deviceRowId, dueAt: now + backoffMs(resends + 1, RETRY) })
  return true
}

const paceOfDevice = statement(orm =>
  orm
    .select({ restAt: devicePaces.restAt })
    .from(devicePaces)
    .where(eq(devicePaces.deviceRowId, sql.placeholder('deviceRowId'))),
)

/** When a device would be back at rest, as in `nextSlot`: 0 for one that never sent. */
export async function restAtOf(reader: Reader, deviceRowId: string): Promise<number> {
  return (await reader.get(paceOfDevice, { deviceRowId }))?.restAt ?? 0
}

export function createWaitingMessages(db: Pick<Db, 'read'>): WaitingMessages {
  return {
    async countByIdentity() {
      const found = await db.read(reader => reader.all(waitingByIdentity))
      return new Map(found.map(({ identityId, count }) => [identityId, count]))
    },

    deviceQueue: deviceRowId =>
      db.read(async reader => {
        const limit = MAX_LANES_LOOKED_AT + 1
        const found = await reader.all(queueOfDevice, { ...lanesOf(deviceRowId), limit })
        return {
          restAt: await restAtOf(reader, deviceRowId),
          lanes: found
            .slice(0, MAX_LANES_LOOKED_AT)
            .map(({ leaseId, ...lane }) => ({ ...lane, leased: leaseId !== null })),
          isWhole: found.length <= MAX_LANES_LOOKED_AT,
        }
      }),

    placesInLane: queued =>
      db.read(async reader => {
        const places = new Map<number, number>()
        for (const [lane, own] of Map.groupBy(queued, message => message.lane)) {
          let from = 0
          let place = 0
          // From one to the next, so that messages before all of them are counted once.
          for (const { seq } of own.toSorted((one, other) => one.seq - other.seq)) {
            place += (await reader.get(waitingBetween, { lane, from, before: seq }))?.count ?? 0
            places.set(seq, place)
            from = seq
          }
        }
        return places
      }),
  }
}
