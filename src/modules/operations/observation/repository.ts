/**
 * The metrics' reads of the database. Counts walk through the indexes of waiting rows, never through
 * the past; the caller bounds how often.
 */
import { count, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import {
  deliveries,
  deliveryLanes,
  devices,
  messages,
  outboxLanes,
  webhooks,
} from '../../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../../db/stable-params.ts'
import { type Statement, statement } from '../../../db/statement.ts'
import type { DeviceState } from '../../../domain/states.ts'
import { yieldToEventLoop } from '../../../lib/turn-budget.ts'
import { endpointKey } from '../../events/event-repository.ts'

/** A queue's waiting rows. */
export interface Waiting {
  count: number
  /** When the oldest of it came, in milliseconds since the Unix epoch. */
  since: number
}

export interface ObservedDevice {
  id: string
  platform: string
  state: DeviceState
}

export interface ObservationRepository {
  /** Listed devices, oldest first. */
  devices(limit: number): Promise<ObservedDevice[]>
  deviceCounts(): Promise<{ platform: string; state: DeviceState; count: number }[]>
  /** Messages not yet handed to the homeserver, by the device's row id. */
  outbox(): Promise<Map<string, Waiting>>
  /** Events not yet delivered, by `<identity>/<webhook id>`; without those of webhooks that are switched off, which nobody waits for. */
  deliveries(): Promise<Map<string, Waiting>>
  webhookCounts(): Promise<{ active: boolean; count: number }[]>
}

/** A step's count in one lane. */
interface LaneRow {
  lane: string
  count: number
  /** The `seq` of its oldest. */
  first: number
  /** Where it ended in the lane. */
  last: number
}

/** Entries of an index counted in one go: a few milliseconds. */
const STEP = 1_000

const isListed = isNull(devices.removedAt)
const listedDevices = statement(orm =>
  orm
    .select({ id: devices.id, platform: devices.platform, state: devices.state })
    .from(devices)
    .where(isListed)
    .orderBy(devices.id)
    .limit(limitParam('limit')),
)
const devicesByState = statement(orm =>
  orm
    .select({ platform: devices.platform, state: devices.state, count: sql<number>`count(*)` })
    .from(devices)
    .where(isListed)
    .groupBy(devices.platform, devices.state),
)
const webhooksByState = statement(orm =>
  orm
    .select({ active: webhooks.active, count: sql<number>`count(*)` })
    .from(webhooks)
    .groupBy(webhooks.active),
)
const activeWebhooks = statement(orm =>
  orm
    .select({ identityId: webhooks.identityId, id: webhooks.id })
    .from(webhooks)
    .where(eq(webhooks.active, true)),
)
// The lists of statuses are spelled out as in the indexes messages_waiting and
// deliveries_waiting, which hold all that is read here and are walked in their order.
const outboxStep = statement(orm =>
  orm
    .select({
      lane: sql<string>`lane`,
      count: count(),
      first: sql<number>`min(seq)`,
      last: sql<number>`max(seq)`,
    })
    .from(sql`(select lane, seq from messages
      where status in ('queued', 'sending') and (lane, seq) > (${textParam('lane')}, ${numberParam('last')})
      order by lane, seq limit ${numberParam('limit')})`)
    .groupBy(sql`lane`)
    .orderBy(sql`lane`),
)
const deliveryStep = statement(orm =>
  orm
    .select({
      lane: sql<string>`lane`,
      count: count(),
      first: sql<number>`min(seq)`,
      last: sql<number>`max(inbox_seq)`,
    })
    .from(sql`(select lane, inbox_seq, seq from deliveries
      where status = 'pending' and (lane, inbox_seq) > (${textParam('lane')}, ${numberParam('last')})
      order by lane, inbox_seq limit ${numberParam('limit')})`)
    .groupBy(sql`lane`)
    .orderBy(sql`lane`),
)
const deviceOfLane = statement(orm =>
  orm
    .select({ key: outboxLanes.deviceRowId })
    .from(outboxLanes)
    .where(eq(outboxLanes.lane, textParam('lane'))),
)
const endpointOfLane = statement(orm =>
  orm
    .select({ key: deliveryLanes.endpoint })
    .from(deliveryLanes)
    .where(eq(deliveryLanes.lane, textParam('lane'))),
)
const messageTime = statement(orm =>
  orm
    .select({ at: messages.createdAt })
    .from(messages)
    .where(eq(messages.seq, sql.placeholder('seq'))),
)
const deliveryTime = statement(orm =>
  orm
    .select({ at: deliveries.createdAt })
    .from(deliveries)
    .where(eq(deliveries.seq, sql.placeholder('seq'))),
)

/** Messages that wait, or deliveries that do. */
interface Queue {
  step: Statement<LaneRow>
  /** Group under which a lane is counted. */
  keyOf: Statement<{ key: string }>
  timeOf: Statement<{ at: number }>
}

const OUTBOX: Queue = { step: outboxStep, keyOf: deviceOfLane, timeOf: messageTime }
const DELIVERIES: Queue = { step: deliveryStep, keyOf: endpointOfLane, timeOf: deliveryTime }

export function createObservationRepository(db: Pick<Db, 'read'>): ObservationRepository {
  /** The next entries of a queue's index, counted by lane, and what each lane counts for. */
  function next({ step, keyOf }: Queue, after: { lane: string; last: number }) {
    return db.read(async reader => {
      const found: (LaneRow & { key: string | undefined })[] = []
      for (const row of await reader.all(step, { ...after, limit: STEP }))
        found.push({ ...row, key: (await reader.get(keyOf, { lane: row.lane }))?.key })
      return found
    })
  }

  /**
   * Walks through a queue, a step in each turn of the event loop.
   * @param counts false for a key that nothing is counted for
   */
  async function totals(queue: Queue, counts: (key: string) => boolean): Promise<Map<string, Waiting>> {
    const byKey = new Map<string, { count: number; first: number }>()
    let after = { lane: '', last: 0 }
    for (;;) {
      const rows = await next(queue, after)
      for (const { key, count, first } of rows) {
        if (key === undefined || !counts(key)) continue
        const sum = byKey.get(key)
        byKey.set(key, { count: (sum?.count ?? 0) + count, first: Math.min(sum?.first ?? first, first) })
      }
      const last = rows.at(-1)
      if (!last || rows.reduce((sum, { count }) => sum + count, 0) < STEP) break
      after = last
      await yieldToEventLoop()
    }
    return db.read(async reader => {
      const waiting = new Map<string, Waiting>()
      for (const [key, { count, first: seq }] of byKey)
        waiting.set(key, { count, since: (await reader.get(queue.timeOf, { seq }))?.at ?? Number.NaN })
      return waiting
    })
  }

  return {
    devices: limit => db.read(reader => reader.all(listedDevices, { limit })),
    deviceCounts: () => db.read(reader => reader.all(devicesByState)),
    outbox: () => totals(OUTBOX, () => true),
    async deliveries() {
      const rows = await db.read(reader => reader.all(activeWebhooks))
      const active = new Set(rows.map(({ identityId, id }) => endpointKey(identityId, id)))
      return totals(DELIVERIES, key => active.has(key))
    },
    webhookCounts: () => db.read(reader => reader.all(webhooksByState)),
  }
}
