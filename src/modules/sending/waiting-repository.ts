/** SQL that looks at what waits in the outbox: how much, of whom, and before whom. Nothing here changes anything. */
import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts, devices, ghostPhones, type Message, messages, outboxLanes } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { isLaneOfDevice, lanesOf } from './lane-repository.ts'
import { type PersonKeys, personKeys } from './recipient-key.ts'
import { restAtOf } from './slot-repository.ts'

export interface WaitingMessages {
  /** How many messages wait to be sent, by identity. */
  countByIdentity(): Promise<Map<string, number>>
  /** What waits for a device, by lane: at most a few thousand lanes, beyond which an estimate is too early. */
  deviceQueue(deviceRowId: string): Promise<DeviceQueue>
  /** How many messages wait before each of these in its lane, by `seq`. */
  placesInLane(queued: readonly Pick<Message, 'seq' | 'lane'>[]): Promise<Map<number, number>>
  /**
   * For each recipient of a device, the lane in which something waits for them under an id by which
   * they were written before their number was known: what is sent next must not overtake it.
   * @returns null for those whose messages go by their key
   */
  lanesOfPeople(
    deviceRowId: string,
    recipients: readonly { key: string; recipient: string }[],
  ): Promise<(string | null)[]>
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
const idsOfPerson = statement(orm =>
  orm
    .select({ id: ghostPhones.matrixUserId })
    .from(ghostPhones)
    .where(
      sql`${ghostPhones.deviceRowId} = ${textParam('deviceRowId')} and ${ghostPhones.phone} = ${textParam('phone')}`,
    )
    .unionAll(
      orm
        .select({ id: contacts.matrixUserId })
        .from(contacts)
        .where(
          sql`${contacts.deviceRowId} = ${textParam('deviceRowId')} and ${contacts.phone} = ${textParam('phone')}`,
        ),
    ),
)
const lastWaiting = statement(orm =>
  orm
    .select({ seq: sql<number | null>`max(${messages.seq})` })
    .from(messages)
    .where(sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')`),
)

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

    lanesOfPeople: (deviceRowId, recipients) =>
      db.read(async reader => {
        const lanes: (string | null)[] = []
        for (const { key, recipient } of recipients) {
          const keys = personKeys(key, recipient)
          lanes.push(keys && (await laneOfPerson(reader, deviceRowId, keys)))
        }
        return lanes
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

async function laneOfPerson(
  reader: Reader,
  deviceRowId: string,
  { written, phone }: PersonKeys,
): Promise<string | null> {
  const laneOf = (contact: string) => `${deviceRowId}/contact:${contact}`
  const last = async (lane: string) => (await reader.get(lastWaiting, { lane }))?.seq ?? 0
  const ids = await reader.all(idsOfPerson, { deviceRowId, phone })
  if (written === phone && ids.length === 0) return null
  // Messages written in one way stay in order, whatever else waits.
  if ((await last(laneOf(written))) > 0) return laneOf(written)
  let latest: { lane: string; seq: number } | undefined
  for (const { id } of ids) {
    const lane = laneOf(id)
    const seq = await last(lane)
    if (seq > (latest?.seq ?? 0)) latest = { lane, seq }
  }
  return latest?.lane ?? null
}
