/**
 * What the metrics read from the database when they are asked for. The counts walk through the indexes of what waits, never through the past;
 * who calls bounds how often.
 */
import { count, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveries, deliveryLanes, devices, messages, outboxLanes, webhooks } from '../../db/schema/index.ts'
import { numberParam, textParam } from '../../db/stable-params.ts'
import type { DeviceState } from '../../domain/states.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { endpointKey } from '../events/repository.ts'

/** What waits in a queue. */
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

export function createObservationRepository({ orm }: Pick<Db, 'orm'>): ObservationRepository {
  const listed = isNull(devices.removedAt)
  // The lists of statuses are spelled out as in the indexes messages_waiting and
  // deliveries_waiting, which hold all that is read here and are walked in their order.
  const outboxStep = orm
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
    .orderBy(sql`lane`)
    .prepare()
  const deliveryStep = orm
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
    .orderBy(sql`lane`)
    .prepare()
  const deviceOfLane = orm
    .select({ key: outboxLanes.deviceRowId })
    .from(outboxLanes)
    .where(eq(outboxLanes.lane, textParam('lane')))
    .prepare()
  const endpointOfLane = orm
    .select({ key: deliveryLanes.endpoint })
    .from(deliveryLanes)
    .where(eq(deliveryLanes.lane, textParam('lane')))
    .prepare()
  const messageTime = orm
    .select({ at: messages.createdAt })
    .from(messages)
    .where(eq(messages.seq, sql.placeholder('seq')))
    .prepare()
  const deliveryTime = orm
    .select({ at: deliveries.createdAt })
    .from(deliveries)
    .where(eq(deliveries.seq, sql.placeholder('seq')))
    .prepare()
  const activeWebhooks = orm
    .select({ identityId: webhooks.identityId, id: webhooks.id })
    .from(webhooks)
    .where(eq(webhooks.active, true))
    .prepare()

  return {
    devices: async limit =>
      orm
        .select({ id: devices.id, platform: devices.platform, state: devices.state })
        .from(devices)
        .where(listed)
        .orderBy(devices.id)
        .limit(limit)
        .all(),

    deviceCounts: async () =>
      orm
        .select({ platform: devices.platform, state: devices.state, count: sql<number>`count(*)` })
        .from(devices)
        .where(listed)
        .groupBy(devices.platform, devices.state)
        .all(),

    outbox: () =>
      totals(
        outboxStep,
        lane => deviceOfLane.get({ lane })?.key,
        seq => messageTime.get({ seq })?.at,
      ),
    deliveries() {
      const active = new Set(activeWebhooks.all().map(({ identityId, id }) => endpointKey(identityId, id)))
      const keyOf = (lane: string) => {
        const key = endpointOfLane.get({ lane })?.key
        return key !== undefined && active.has(key) ? key : undefined
      }
      return totals(deliveryStep, keyOf, seq => deliveryTime.get({ seq })?.at)
    },

    webhookCounts: async () =>
      orm
        .select({ active: webhooks.active, count: sql<number>`count(*)` })
        .from(webhooks)
        .groupBy(webhooks.active)
        .all(),
  }
}

/** The next entries of a queue's index, counted by lane. */
interface QueueStep {
  all(after: { lane: string; last: number; limit: number }): LaneRow[]
}

/**
 * Walks through a queue, a step in each turn of the event loop.
 * @param keyOf what a lane counts for; undefined: nothing. @param timeOf a row, by its `seq`
 */
async function totals(
  step: QueueStep,
  keyOf: (lane: string) => string | undefined,
  timeOf: (seq: number) => number | undefined,
): Promise<Map<string, Waiting>> {
  const byKey = new Map<string, { count: number; first: number }>()
  let after = { lane: '', last: 0 }
  for (;;) {
    const rows = step.all({ ...after, limit: STEP })
    for (const { lane, count, first } of rows) {
      const key = keyOf(lane)
      if (key === undefined) continue
      const sum = byKey.get(key)
      byKey.set(key, { count: (sum?.count ?? 0) + count, first: Math.min(sum?.first ?? first, first) })
    }
    const last = rows.at(-1)
    if (!last || rows.reduce((sum, { count }) => sum + count, 0) < STEP) break
    after = last
    await yieldToEventLoop()
  }
  return new Map(
    [...byKey].map(([key, { count, first }]) => [key, { count, since: timeOf(first) ?? Number.NaN }]),
  )
}
