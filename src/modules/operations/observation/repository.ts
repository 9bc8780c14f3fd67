/**
 * The metrics' reads of the database. Counts walk through the indexes of waiting rows, never
 * through the past; the caller bounds how often.
 */
import { eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import { devices, webhooks } from '../../../db/schema/index.ts'
import { limitParam } from '../../../db/stable-params.ts'
import { type Statement, sqlStatement, statement } from '../../../db/statement.ts'
import { yieldToEventLoop } from '../../../lib/turn-budget.ts'
import { endpointKey } from '../../events/event-repository.ts'

/** A queue's waiting rows. */
export interface Waiting {
  count: number
  /** When the oldest of it came, in milliseconds since the Unix epoch. */
  since: number
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
/** Messages that wait, or deliveries that do. */
interface Queue {
  step: Statement<LaneRow>
  /** Group under which a lane is counted. */
  keyOf: Statement<{ key: string }>
  timeOf: Statement<{ at: number }>
}

/**
 * A statement that counts the next entries of a queue's index by lane.
 * @param position orders the rows of a lane
 * @param isWaiting as spelled out in the index, which is found by its text
 */
function stepOf(table: string, position: string, isWaiting: string): Queue['step'] {
  return sqlStatement(
    `SELECT lane, count(*) AS count, min(seq) AS first, max(position) AS last
     FROM (SELECT lane, ${position} AS position, seq FROM ${table}
       WHERE ${isWaiting} AND (lane, ${position}) > ($lane || '', $last + 0)
       ORDER BY lane, ${position} LIMIT ($limit + 0))
     GROUP BY lane ORDER BY lane`,
  )
}

const OUTBOX: Queue = {
  step: stepOf('messages', 'seq', "status in ('queued', 'sending')"),
  keyOf: sqlStatement("SELECT device_row_id AS key FROM outbox_lanes WHERE lane = $lane || ''"),
  timeOf: sqlStatement('SELECT created_at AS at FROM messages WHERE seq = $seq'),
}
const DELIVERIES: Queue = {
  step: stepOf('deliveries', 'event_seq', "status = 'pending'"),
  keyOf: sqlStatement("SELECT endpoint AS key FROM delivery_lanes WHERE lane = $lane || ''"),
  timeOf: sqlStatement('SELECT created_at AS at FROM deliveries WHERE seq = $seq'),
}

export type ObservationRepository = ReturnType<typeof createObservationRepository>

export function createObservationRepository(db: Pick<Db, 'read'>) {
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
    /** Listed devices, oldest first. */
    devices: (limit: number) => db.read(reader => reader.all(listedDevices, { limit })),
    deviceCounts: () => db.read(reader => reader.all(devicesByState)),
    /** Messages not yet handed to the homeserver, by the device's row id. */
    outbox: () => totals(OUTBOX, () => true),
    /**
     * Events not yet delivered, by `<identity>/<webhook id>`, without those of webhooks that are
     * switched off, which nobody waits for.
     */
    async deliveries(): Promise<Map<string, Waiting>> {
      const rows = await db.read(reader => reader.all(activeWebhooks))
      const active = new Set(rows.map(({ identityId, id }) => endpointKey(identityId, id)))
      return totals(DELIVERIES, key => active.has(key))
    },
    webhookCounts: () => db.read(reader => reader.all(webhooksByState)),
  }
}
