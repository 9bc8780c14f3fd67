/**
 * SQL of the deliveries to be made. A lane (one webhook, one chat) is claimed by lease and
 * delivered in order. A lease lasts until its holder gives it back, however long an endpoint takes,
 * or until the next start: no other process has this database.
 */
import { and, eq, exists, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import {
  type Delivery,
  deliveries,
  deliveryLanes,
  type InboxEvent,
  inboxEvents,
  OUT_OF_THE_WAY_MS,
  type Webhook,
  webhooks,
} from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { usableTokenOf } from '../tokens/usable-token-repository.ts'
import { type Attempt, createAttemptWriter } from './attempt-repository.ts'
import { createHealthWriter, type HealthNote } from './health-repository.ts'

export interface ClaimedDelivery {
  delivery: Delivery
  event: InboxEvent
  /** The endpoint has answered a try that the body is too large for it (413). */
  wasTooLarge: boolean
}

export interface ClaimedDeliveries {
  lane: string
  endpoint: string
  leaseId: string
  /** Oldest first; may be empty. */
  deliveries: ClaimedDelivery[]
  /** As it was when the lane was claimed. */
  webhook: Webhook
}

export interface DeliveryClaim {
  leaseId: string
  now: number
  /** How many more lanes an endpoint may have in flight. */
  freeOf(endpoint: string): number
  /** How many more lanes all endpoints of an identity may have in flight, when `claimed` were claimed just now, `claimedForIt` of them for it. */
  freeOfIdentity(identityId: string, claimed: number, claimedForIt: number): number
  maxLanes: number
  maxDeliveriesPerLane: number
}

export type DeliverySettlement = { attempt: Attempt } & (
  | { outcome: 'succeeded' | 'dead' }
  /** Tried again in its place; its lane waits. */
  | { outcome: 'retry' }
  /** Tried again by itself at `dueAt`; its lane goes on. */
  | { outcome: 'set_aside'; dueAt: number }
)

export interface DeliveryQueue {
  claim(request: DeliveryClaim): Promise<ClaimedDeliveries[]>
  /** The webhook as it is now; null when nothing is to be delivered to it: it is gone or switched off, or its owner is shut out. */
  deliverable(endpoint: string, now: number): Webhook | null
  /**
   * @param claimed with the webhook as it was for this try
   * @param health what the try says of the endpoint; null: nothing that is worth a write
   * @returns why the webhook was switched off by this; null when it wasn't
   */
  settle(
    claimed: ClaimedDeliveries,
    delivery: Delivery,
    settlement: DeliverySettlement,
    health: HealthNote | null,
    now: number,
  ): Promise<string | null>
  /**
   * Gives a lane back, if it is still held by this lease.
   * @param dueAt when its next delivery may be tried, if it has one
   */
  release(claimed: ClaimedDeliveries, dueAt: number): Promise<void>
  /** When the next lane of an active webhook is due, null when none waits. */
  nextDueAt(): Promise<number | null>
  /** Leases of a process that is gone: with one process for a database file, all that are there at its start. */
  releaseAbandoned(now: number): Promise<void>
}

const MANY_ENDPOINTS = 100
/** HTTP status: the body is too large for the endpoint. */
const TOO_LARGE = 413

export function createDeliveryQueue(db: Db): DeliveryQueue {
  const { orm, committer, connection } = db
  const param = sql.placeholder
  const attempts = createAttemptWriter(db)
  const health = createHealthWriter(db)

  // By one look at each endpoint: one that has been down for days may have a hundred thousand lanes, which aren't to be gone through at each claim.
  const endpointsWaiting = connection.query<{ endpoint: string; dueAt: number }, []>(`
    WITH RECURSIVE waiting (endpoint) AS (
      SELECT min(endpoint) FROM delivery_lanes
      UNION ALL
      SELECT (SELECT min(endpoint) FROM delivery_lanes WHERE endpoint > waiting.endpoint)
      FROM waiting WHERE waiting.endpoint IS NOT NULL
    )
    SELECT endpoint, (SELECT min(due_at) FROM delivery_lanes AS lanes WHERE lanes.endpoint = waiting.endpoint) AS dueAt
    FROM waiting WHERE endpoint IS NOT NULL`)
  // A look at each costs more than going through all lanes when there are many endpoints with a few lanes each.
  const endpointsDue = orm
    .select({ endpoint: deliveryLanes.endpoint, dueAt: sql<number>`min(${deliveryLanes.dueAt})` })
    .from(deliveryLanes)
    .where(sql`${deliveryLanes.dueAt} <= ${param('now')}`)
    .groupBy(deliveryLanes.endpoint)
    .prepare()
  let endpointsLastTime = 0
  const lanesDue = orm
    .select({ lane: deliveryLanes.lane })
    .from(deliveryLanes)
    .where(
      sql`${deliveryLanes.endpoint} = ${textParam('endpoint')} and ${deliveryLanes.dueAt} <= ${numberParam('now')}
        and ${deliveryLanes.leaseId} is null`,
    )
    .orderBy(deliveryLanes.dueAt)
    .limit(limitParam('limit'))
    .prepare()
  const webhookOf = orm
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.id, param('id'))))
    .prepare()
  // In one statement, as it is asked for at each delivery.
  const deliverableWebhook = orm
    .select()
    .from(webhooks)
    .where(
      and(
        eq(webhooks.identityId, textParam('identityId')),
        eq(webhooks.id, numberParam('id')),
        eq(webhooks.active, true),
        exists(usableTokenOf(db, webhooks.identityId)),
      ),
    )
    .prepare()
  const lease = orm
    .update(deliveryLanes)
    .set({ leaseId: sql`${param('leaseId')}`, dueAt: sql`${param('dueAt')}` })
    .where(eq(deliveryLanes.lane, param('lane')))
    .prepare()
  // A delivery's row has its last try, rows of their own those before; nearly all deliveries are
  // claimed before their first.
  const wasTooLarge =
    sql<boolean>`${deliveries.attempts} > 0 and (${deliveries.lastStatus} is ${TOO_LARGE} or exists (
    select 1 from delivery_attempts where delivery_seq = ${deliveries.seq} and status = ${TOO_LARGE}))`.mapWith(
      Boolean,
    )
  const waiting = orm
    .select({ delivery: deliveries, event: inboxEvents, wasTooLarge })
    .from(deliveries)
    .innerJoin(inboxEvents, eq(inboxEvents.seq, deliveries.inboxSeq))
    .where(and(eq(deliveries.lane, textParam('lane')), sql`${deliveries.status} = 'pending'`))
    .orderBy(deliveries.inboxSeq)
    .limit(limitParam('limit'))
    .prepare()
  const anyWaiting = orm
    .select({ seq: deliveries.seq })
    .from(deliveries)
    .where(and(eq(deliveries.lane, textParam('lane')), sql`${deliveries.status} = 'pending'`))
    .limit(ONE)
    .prepare()
  const moveToLane = orm
    .update(deliveries)
    .set({ lane: sql`${param('lane')}` })
    .where(eq(deliveries.seq, param('seq')))
    .prepare()
  // A lane that somebody holds is theirs to give back.
  const putLane = orm
    .insert(deliveryLanes)
    .values({ lane: param('lane'), endpoint: param('endpoint'), dueAt: param('dueAt'), leaseId: null })
    .onConflictDoUpdate({ target: deliveryLanes.lane, set: { dueAt: sql`excluded.due_at` } })
    .prepare()
  const isOfLease = and(eq(deliveryLanes.lane, param('lane')), eq(deliveryLanes.leaseId, param('leaseId')))
  const closeLane = orm.delete(deliveryLanes).where(isOfLease).prepare()
  const returnLane = orm
    .update(deliveryLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}` })
    .where(isOfLease)
    .prepare()
  /** Ordered here: SQLite sets up its sorter even for one row, and this is asked for nearly every message. */
  function longestDueFirst(now: number): { endpoint: string; dueAt: number }[] {
    const found = endpointsLastTime > MANY_ENDPOINTS ? endpointsDue.all({ now }) : endpointsWaiting.all()
    endpointsLastTime = found.length
    return found.filter(({ dueAt }) => dueAt <= now).sort((one, other) => one.dueAt - other.dueAt)
  }

  /** A try at a URL that was changed meanwhile is no reason for the new one to wait. */
  function dueOrAtOnce({ identityId, id, url }: Webhook, dueAt: number): number {
    const present = webhookOf.get({ identityId, id })
    return present && present.url !== url ? Math.min(dueAt, present.updatedAt) : dueAt
  }

  return {
    claim: ({ leaseId, now, freeOf, freeOfIdentity, maxLanes, maxDeliveriesPerLane }) =>
      committer.write(() => {
        const claimed: ClaimedDeliveries[] = []
        const claimedFor = new Map<string, number>()
        for (const { endpoint } of longestDueFirst(now)) {
          const key = parseEndpoint(endpoint)
          const claimedForIt = claimedFor.get(key.identityId) ?? 0
          const share = freeOfIdentity(key.identityId, claimed.length, claimedForIt)
          const free = Math.min(freeOf(endpoint), share, maxLanes - claimed.length)
          // A switched-off endpoint keeps what waits for it until it is switched on again; so does one whose owner is shut out.
          const webhook = free > 0 ? deliverableWebhook.get({ ...key, now }) : undefined
          if (!webhook) continue
          const due = lanesDue.all({ endpoint, now, limit: free })
          claimedFor.set(key.identityId, claimedForIt + due.length)
          for (const { lane } of due) {
            lease.run({ lane, leaseId, dueAt: now + OUT_OF_THE_WAY_MS })
            const work = waiting.all({ lane, limit: maxDeliveriesPerLane })
            claimed.push({ lane, endpoint, leaseId, webhook, deliveries: work })
          }
        }
        return claimed
      }),

    deliverable: (endpoint, now) => deliverableWebhook.get({ ...parseEndpoint(endpoint), now }) ?? null,

    settle: ({ endpoint, webhook }, delivery, settlement, note, now) =>
      committer.write(() => {
        const isThere = attempts.record(delivery, settlement.attempt, statusOf(settlement.outcome), now)
        // The lane of what was removed with its webhook would stay for ever.
        if (isThere && settlement.outcome === 'set_aside') {
          const lane = asideLane(endpoint, delivery)
          moveToLane.run({ seq: delivery.seq, lane })
          putLane.run({ lane, endpoint, dueAt: dueOrAtOnce(webhook, settlement.dueAt) })
        }
        return note && health.write(webhook, note, now)
      }),

    release: ({ lane, leaseId, webhook }, dueAt) =>
      committer.write(() => {
        if (anyWaiting.get({ lane })) returnLane.run({ lane, leaseId, dueAt: dueOrAtOnce(webhook, dueAt) })
        else closeLane.run({ lane, leaseId })
      }),

    async nextDueAt() {
      const soonestFirst = endpointsWaiting.all().sort((one, other) => one.dueAt - other.dueAt)
      return (
        soonestFirst.find(({ endpoint }) => webhookOf.get(parseEndpoint(endpoint))?.active)?.dueAt ?? null
      )
    },

    releaseAbandoned: now =>
      committer.write(() => {
        orm
          .update(deliveryLanes)
          .set({ leaseId: null, dueAt: now })
          .where(sql`${deliveryLanes.leaseId} is not null`)
          .run()
      }),
  }
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
