/**
 * What the metrics read from the database when they are asked for. The counts walk through the indexes of what waits, never through the past;
 * who calls bounds how often.
 */
import { eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveries, devices, messages, webhooks } from '../../db/schema/index.ts'
import type { DeviceState } from '../../domain/states.ts'

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

/** What waits in one lane. */
interface LaneRow {
  key: string
  count: number
  /** The `seq` of its oldest. */
  first: number
}

export function createObservationRepository({ orm }: Pick<Db, 'orm'>): ObservationRepository {
  const listed = isNull(devices.removedAt)
  // The lists of statuses are spelled out as in the indexes messages_waiting and deliveries_waiting, which hold all that is read here.
  const outboxLanes = sql`
    select outbox_lanes.device_row_id as key, waiting.count, waiting.first
    from (select lane, count(*) as count, min(seq) as first from messages
      where status in ('queued', 'sending') group by lane) as waiting
    join outbox_lanes on outbox_lanes.lane = waiting.lane`
  const deliveryLanes = sql`
    select delivery_lanes.endpoint as key, waiting.count, waiting.first
    from (select lane, count(*) as count, min(seq) as first from deliveries
      where status = 'pending' group by lane) as waiting
    join delivery_lanes on delivery_lanes.lane = waiting.lane`
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

    outbox: async () => totals(orm.all<LaneRow>(outboxLanes), seq => messageTime.get({ seq })?.at),
    async deliveries() {
      const active = new Set(activeWebhooks.all().map(({ identityId, id }) => `${identityId}/${id}`))
      const lanes = orm.all<LaneRow>(deliveryLanes).filter(({ key }) => active.has(key))
      return totals(lanes, seq => deliveryTime.get({ seq })?.at)
    },

    webhookCounts: async () =>
      orm
        .select({ active: webhooks.active, count: sql<number>`count(*)` })
        .from(webhooks)
        .groupBy(webhooks.active)
        .all(),
  }
}

/** @param timeOf a row, by its `seq` */
function totals(lanes: LaneRow[], timeOf: (seq: number) => number | undefined): Map<string, Waiting> {
  const byKey = new Map<string, { count: number; first: number }>()
  for (const { key, count, first } of lanes) {
    const sum = byKey.get(key)
    if (sum) {
      sum.count += count
      sum.first = Math.min(sum.first, first)
    } else byKey.set(key, { count, first })
  }
  return new Map(
    [...byKey].map(([key, { count, first }]) => [key, { count, since: timeOf(first) ?? Number.NaN }]),
  )
}
