/** SQL of waiting deliveries and their lanes, of one webhook and one chat each. */
import { and, eq, exists, sql } from 'drizzle-orm'
import { laneLeases, OUT_OF_THE_WAY_MS } from '../../db/lane-leases.ts'
import type { Db } from '../../db/open.ts'
import { anyWhere } from '../../db/row-statements.ts'
import {
  type Delivery,
  deliveries,
  deliveryLanes,
  type EventRow,
  events,
  type Webhook,
  webhooks,
} from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { LaneClaim } from '../../runtime/lane-worker.ts'
import { passedOn } from '../events/event-repository.ts'
import type { StoredEventRow } from '../events/events.ts'
import { usableTokenOf } from '../tenants/usable-token-repository.ts'
import { type DeliverySettlement, type HealthNote, recordAttempt, writeHealth } from './outcome-repository.ts'
import { webhookById } from './webhook-repository.ts'

/** A delivery with its event. */
export interface ClaimedDelivery
  extends StoredEventRow,
    Pick<Delivery, 'seq' | 'id' | 'attempts' | 'uncountedAttempts'>,
    Pick<EventRow, 'name' | 'receivedAt'> {
  /** The endpoint has refused a try because of the body's size (413). */
  wasTooLarge: boolean
}

export interface ClaimedDeliveries {
  lane: string
  endpoint: string
  leaseId: string
  /** Oldest first; may be empty. */
  deliveries: ClaimedDelivery[]
  /** State at the last try, or when the lane was claimed. */
  webhook: Webhook
}

export interface DeliveryClaim extends LaneClaim {
  /** How many more lanes an endpoint may have in flight. */
  freeOf(endpoint: string): number
  /**
   * How many more lanes an identity's endpoints may have in flight together.
   * @param claimed lanes of this claim so far, `claimedForIt` of them for the identity
   */
  freeOfIdentity(identityId: string, claimed: number, claimedForIt: number): number
  maxDeliveriesPerLane: number
}

const MANY_ENDPOINTS = 100
/** HTTP status: the body is too large for the endpoint. */
const TOO_LARGE = 413

interface WaitingEndpoint {
  endpoint: string
  /** Time at which its first lane is due. */
  dueAt: number
}

const leases = laneLeases('delivery_lanes')
const param = sql.placeholder
// Visits each endpoint once: one that has been down for days may have a hundred thousand lanes.
const endpointsWaiting = sqlStatement<{ endpoint: string; dueAt: number | null }>(`
    WITH RECURSIVE waiting (endpoint) AS (
      SELECT min(endpoint) FROM delivery_lanes
      UNION ALL
      SELECT (SELECT min(endpoint) FROM delivery_lanes WHERE endpoint > waiting.endpoint)
      FROM waiting WHERE waiting.endpoint IS NOT NULL
    )
    SELECT endpoint,
      (SELECT min(due_at) FROM delivery_lanes AS lanes
        WHERE lanes.endpoint = waiting.endpoint AND lanes.due_at > $after) AS dueAt
    FROM waiting WHERE endpoint IS NOT NULL`)
// Going through all lanes costs less when there are many endpoints with a few lanes each.
const endpointsDue = statement(orm =>
  orm
    .select({ endpoint: deliveryLanes.endpoint, dueAt: sql<number>`min(${deliveryLanes.dueAt})` })
    .from(deliveryLanes)
    .where(sql`${deliveryLanes.dueAt} <= ${param('now')}`)
    .groupBy(deliveryLanes.endpoint),
)
const lanesDue = statement(orm =>
  orm
    .select({ lane: deliveryLanes.lane })
    .from(deliveryLanes)
    .where(
      sql`${deliveryLanes.endpoint} = ${textParam('endpoint')} and ${deliveryLanes.dueAt} <= ${numberParam('now')}
        and ${deliveryLanes.leaseId} is null`,
    )
    .orderBy(deliveryLanes.dueAt)
    .limit(limitParam('limit')),
)
// One statement, since each delivery asks for it.
const deliverableWebhook = statement(orm =>
  orm
    .select()
    .from(webhooks)
    .where(
      and(
        eq(webhooks.identityId, textParam('identityId')),
        eq(webhooks.id, numberParam('id')),
        eq(webhooks.active, true),
        exists(usableTokenOf(orm, webhooks.identityId)),
      ),
    ),
)
const wasTooLarge =
  sql<boolean>`${deliveries.attempts} > 0 and (${deliveries.lastStatus} is ${TOO_LARGE} or exists (
    select 1 from delivery_attempts where delivery_seq = ${deliveries.seq} and status = ${TOO_LARGE}))`.mapWith(
    Boolean,
  )
const waiting = statement(orm =>
  orm
    .select({
      seq: deliveries.seq,
      id: deliveries.id,
      attempts: deliveries.attempts,
      uncountedAttempts: deliveries.uncountedAttempts,
      ...passedOn,
      receivedAt: events.receivedAt,
      wasTooLarge,
    })
    .from(deliveries)
    .innerJoin(events, eq(events.seq, deliveries.eventSeq))
    .where(and(eq(deliveries.lane, textParam('lane')), sql`${deliveries.status} = 'pending'`))
    .orderBy(deliveries.eventSeq)
    .limit(limitParam('limit')),
)
const anyWaiting = anyWhere(
  deliveries,
  sql`${deliveries.lane} = ${textParam('lane')} and ${deliveries.status} = 'pending'`,
)
const setAside = statement(orm =>
  orm
    .update(deliveries)
    .set({
      lane: sql`${param('lane')}`,
      uncountedAttempts: sql`${deliveries.uncountedAttempts} + ${param('uncounted')}`,
    })
    .where(eq(deliveries.seq, param('seq'))),
)
// A lane that somebody holds is theirs to give back.
const putLane = statement(orm =>
  orm
    .insert(deliveryLanes)
    .values({ lane: param('lane'), endpoint: param('endpoint'), dueAt: param('dueAt'), leaseId: null })
    .onConflictDoUpdate({ target: deliveryLanes.lane, set: { dueAt: sql`excluded.due_at` } }),
)

/** A try at a URL that was changed meanwhile doesn't make the new URL wait. */
async function dueOrAtOnce(tx: Tx, { identityId, id, url }: Webhook, dueAt: number): Promise<number> {
  const present = await tx.get(webhookById, { identityId, id })
  return present && present.url !== url ? Math.min(dueAt, present.updatedAt) : dueAt
}

export type DeliveryQueue = ReturnType<typeof createDeliveryQueue>

export function createDeliveryQueue(db: Pick<Db, 'read' | 'write'>) {
  let endpointsLastTime = 0

  async function longestDueFirst(tx: Tx, now: number): Promise<WaitingEndpoint[]> {
    const isLong = endpointsLastTime > MANY_ENDPOINTS
    const found = await (isLong ? tx.all(endpointsDue, { now }) : tx.all(endpointsWaiting, { after: -1 }))
    endpointsLastTime = found.length
    return soonestFirst(found).filter(({ dueAt }) => dueAt <= now)
  }

  return {
    claim: ({ leaseId, now, freeOf, freeOfIdentity, maxLanes, maxDeliveriesPerLane }: DeliveryClaim) =>
      db.write(async tx => {
        const claimed: ClaimedDeliveries[] = []
        const claimedFor = new Map<string, number>()
        for (const { endpoint } of await longestDueFirst(tx, now)) {
          const key = parseEndpoint(endpoint)
          const claimedForIt = claimedFor.get(key.identityId) ?? 0
          const share = freeOfIdentity(key.identityId, claimed.length, claimedForIt)
          const free = Math.min(freeOf(endpoint), share, maxLanes - claimed.length)
          // Others keep their deliveries until they are switched on, or have a usable token.
          const webhook = free > 0 ? await tx.get(deliverableWebhook, { ...key, now }) : undefined
          if (!webhook) continue
          const due = await tx.all(lanesDue, { endpoint, now, limit: free })
          claimedFor.set(key.identityId, claimedForIt + due.length)
          for (const { lane } of due) {
            await tx.run(leases.lease, { lane, leaseId, dueAt: now + OUT_OF_THE_WAY_MS })
            const work = await tx.all(waiting, { lane, limit: maxDeliveriesPerLane })
            claimed.push({ lane, endpoint, leaseId, webhook, deliveries: work })
          }
        }
        return claimed
      }),

    /**
     * @returns the webhook as it is now; null when it is removed or switched off, or its owner has
     * no usable token
     */
    async deliverable(endpoint: string, now: number): Promise<Webhook | null> {
      const values = { ...parseEndpoint(endpoint), now }
      return (await db.read(reader => reader.get(deliverableWebhook, values))) ?? null
    },

    /**
     * @param claimed with the webhook as it was for this try
     * @param note null when the try says nothing of the endpoint that is worth a write
     * @returns why this switched the webhook off; null when it didn't
     */
    settle: (
      { endpoint, webhook }: ClaimedDeliveries,
      delivery: ClaimedDelivery,
      settlement: DeliverySettlement,
      note: HealthNote | null,
    ): Promise<string | null> =>
      db.write(async tx => {
        const { attempt, outcome } = settlement
        const isThere = await recordAttempt(tx, delivery, attempt, statusOf(outcome))
        // A lane for a delivery that was removed with its webhook would stay for ever.
        if (isThere && settlement.outcome === 'set_aside') {
          const lane = asideLane(endpoint, delivery)
          await tx.run(setAside, { seq: delivery.seq, lane, uncounted: settlement.uncounted })
          const dueAt = await dueOrAtOnce(tx, webhook, settlement.dueAt)
          await tx.run(putLane, { lane, endpoint, dueAt })
        }
        return note && writeHealth(tx, webhook, note, attempt.at)
      }),

    release: ({ lane, leaseId, webhook }: ClaimedDeliveries, releasedDueAt: number) =>
      db.write(async tx => {
        if (!(await tx.get(anyWaiting, { lane }))) return tx.run(leases.close, { lane, leaseId })
        const dueAt = await dueOrAtOnce(tx, webhook, releasedDueAt)
        return tx.run(leases.giveBack, { lane, leaseId, dueAt })
      }),

    /**
     * Ignores lanes that were due at the claim: they wait for one in flight to end.
     * @param heldUntil when a held endpoint's next lane may be claimed; null for other endpoints
     */
    nextDueAt: (claimedAt: number, heldUntil: (endpoint: string) => number | null = () => null) =>
      db.read(async reader => {
        const waiting = await reader.all(endpointsWaiting, { after: claimedAt })
        const times = waiting.map(({ endpoint, dueAt }) => ({
          endpoint,
          dueAt: heldUntil(endpoint) ?? dueAt,
        }))
        for (const { endpoint, dueAt } of soonestFirst(times))
          if ((await reader.get(webhookById, parseEndpoint(endpoint)))?.active) return dueAt
        return null
      }),

    releaseAbandoned: (now: number) => db.write(tx => tx.run(leases.free, { now })),
  }
}

/** Not in SQL: SQLite sets up its sorter even for one row, and nearly every message asks. */
function soonestFirst(endpoints: { endpoint: string; dueAt: number | null }[]): WaitingEndpoint[] {
  return endpoints
    .filter((each): each is WaitingEndpoint => each.dueAt !== null)
    .sort((one, other) => one.dueAt - other.dueAt)
}

/** The lane in which a delivery that was set aside waits by itself. */
export function asideLane(endpoint: string, { id }: Pick<Delivery, 'id'>): string {
  return `${endpoint}/aside/${id}`
}

function statusOf(outcome: DeliverySettlement['outcome']): Delivery['status'] {
  return outcome === 'succeeded' || outcome === 'dead' ? outcome : 'pending'
}

function parseEndpoint(endpoint: string): { identityId: string; id: number } {
  const slash = endpoint.lastIndexOf('/')
  return { identityId: endpoint.slice(0, slash), id: Number(endpoint.slice(slash + 1)) }
}
