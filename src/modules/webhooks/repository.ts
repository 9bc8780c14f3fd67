/** SQL of webhooks and their deliveries. A lane (one webhook, one chat) is claimed by lease and delivered in order. */
import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import {
  credentials,
  type Delivery,
  deliveries,
  deliveryLanes,
  type InboxEvent,
  identities,
  inboxEvents,
  tokens,
  type Webhook,
  webhooks,
} from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { GatewayError } from '../../domain/errors.ts'

export interface ClaimedDeliveries {
  lane: string
  endpoint: string
  leaseId: string
  /** Oldest first; may be empty. */
  deliveries: { delivery: Delivery; event: InboxEvent }[]
  webhook: Webhook
}

export interface DeliveryClaim {
  leaseId: string
  now: number
  leaseMs: number
  /** How many more lanes an endpoint may have in flight. */
  freeOf(endpoint: string): number
  maxLanes: number
  maxDeliveriesPerLane: number
}

export type DeliverySettlement =
  | { outcome: 'succeeded'; status: number }
  | { outcome: 'dead'; status: number | null; error: string }
  /** Tried again in its place; its lane waits. */
  | { outcome: 'retry'; status: number | null; error: string }
  /** Tried again by itself at `dueAt`; its lane goes on. */
  | { outcome: 'set_aside'; status: number | null; error: string; dueAt: number }

export type NewWebhook = Pick<Webhook, 'url' | 'events' | 'secretSealed'>

export interface WebhookRepository {
  /** @throws GatewayError conflict when the identity has the URL already, in whatever way it is written */
  create(identityId: string, webhook: NewWebhook, now: number): Promise<Webhook>
  list(identityId: string): Promise<Webhook[]>
  /** @returns null when there is no such webhook. @throws GatewayError conflict as `create` does */
  update(
    identityId: string,
    id: number,
    change: Partial<Pick<Webhook, 'url' | 'active' | 'events' | 'disabledReason'>>,
    now: number,
  ): Promise<Webhook | null>
  /** Removes it with its deliveries. @returns false when there is no such webhook */
  remove(identityId: string, id: number): Promise<boolean>
  claim(request: DeliveryClaim): Promise<ClaimedDeliveries[]>
  settle(
    claimed: ClaimedDeliveries,
    delivery: Delivery,
    settlement: DeliverySettlement,
    now: number,
  ): Promise<void>
  release(claimed: ClaimedDeliveries, dueAt: number): Promise<void>
  /** When the next lane of an active webhook is due, null when none waits. */
  nextDueAt(): Promise<number | null>
  /** Leases of a process that is gone: with one process for a database file, all that are there at its start. */
  releaseAbandoned(now: number): Promise<void>
}

export function createWebhookRepository(db: Db): WebhookRepository {
  const { orm, committer } = db
  const param = sql.placeholder
  const own = (identityId: string, id: number) =>
    and(eq(webhooks.identityId, identityId), eq(webhooks.id, id))

  const endpointsDue = orm
    .select({ endpoint: deliveryLanes.endpoint, dueAt: sql<number>`min(${deliveryLanes.dueAt})` })
    .from(deliveryLanes)
    .where(sql`${deliveryLanes.dueAt} <= ${param('now')}`)
    .groupBy(deliveryLanes.endpoint)
    .prepare()
  const lanesDue = orm
    .select({ lane: deliveryLanes.lane })
    .from(deliveryLanes)
    .where(
      sql`${deliveryLanes.endpoint} = ${textParam('endpoint')} and ${deliveryLanes.dueAt} <= ${numberParam('now')}`,
    )
    .orderBy(deliveryLanes.dueAt)
    .limit(limitParam('limit'))
    .prepare()
  const webhookOf = orm
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.id, param('id'))))
    .prepare()
  const usableToken = orm
    .select({ id: tokens.id })
    .from(tokens)
    .leftJoin(credentials, eq(credentials.clientId, tokens.credentialId))
    .where(
      and(
        eq(tokens.identityId, textParam('identityId')),
        sql`(${tokens.expiresAt} is null or ${tokens.expiresAt} > ${numberParam('now')})`,
        sql`(${tokens.credentialId} is null or ${credentials.active} = 1)`,
      ),
    )
    .limit(ONE)
    .prepare()
  const lease = orm
    .update(deliveryLanes)
    .set({ leaseId: sql`${param('leaseId')}`, dueAt: sql`${param('until')}` })
    .where(eq(deliveryLanes.lane, param('lane')))
    .prepare()
  const waiting = orm
    .select({ delivery: deliveries, event: inboxEvents })
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
  const markTried = orm
    .update(deliveries)
    .set({
      status: sql`${param('status')}`,
      attempts: sql`${deliveries.attempts} + 1`,
      lastStatus: sql`${param('lastStatus')}`,
      lastError: sql`${param('lastError')}`,
      settledAt: sql`${param('settledAt')}`,
    })
    .where(eq(deliveries.seq, param('seq')))
    .prepare()
  const moveToLane = orm
    .update(deliveries)
    .set({ lane: sql`${param('lane')}` })
    .where(eq(deliveries.seq, param('seq')))
    .prepare()
  const putLane = orm
    .insert(deliveryLanes)
    .values({ lane: param('lane'), endpoint: param('endpoint'), dueAt: param('dueAt'), leaseId: null })
    .onConflictDoUpdate({ target: deliveryLanes.lane, set: { dueAt: sql`excluded.due_at`, leaseId: null } })
    .prepare()
  const closeLane = orm
    .delete(deliveryLanes)
    .where(eq(deliveryLanes.lane, param('lane')))
    .prepare()
  const returnLane = orm
    .update(deliveryLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}` })
    .where(and(eq(deliveryLanes.lane, param('lane')), eq(deliveryLanes.leaseId, param('leaseId'))))
    .prepare()
  const earliest = orm
    .select({ dueAt: sql<number | null>`min(${deliveryLanes.dueAt})` })
    .from(deliveryLanes)
    .innerJoin(
      webhooks,
      sql`${deliveryLanes.endpoint} = ${webhooks.identityId} || '/' || ${webhooks.id} and ${webhooks.active} = 1`,
    )
    .prepare()

  function refuseDuplicate(identityId: string, url: string, except?: number): void {
    const own = orm
      .select({ id: webhooks.id, url: webhooks.url })
      .from(webhooks)
      .where(eq(webhooks.identityId, identityId))
      .all()
    const endpoint = endpointOf(url)
    const other = own.find(webhook => webhook.id !== except && endpointOf(webhook.url) === endpoint)
    if (other) throw new GatewayError('conflict', `url: webhook ${other.id} has this URL already`)
  }

  return {
    create: (identityId, webhook, now) =>
      committer.write(() => {
        refuseDuplicate(identityId, webhook.url)
        const counter = orm
          .update(identities)
          .set({ nextWebhookId: sql`${identities.nextWebhookId} + 1` })
          .where(eq(identities.id, identityId))
          .returning({ next: identities.nextWebhookId })
          .get()
        if (!counter) throw new GatewayError('not_found', 'the identity is gone')
        return orm
          .insert(webhooks)
          .values({
            identityId,
            id: counter.next - 1,
            ...webhook,
            active: true,
            disabledReason: null,
            createdAt: now,
            updatedAt: now,
          })
          .returning()
          .get()
      }),

    list: async identityId =>
      orm.select().from(webhooks).where(eq(webhooks.identityId, identityId)).orderBy(asc(webhooks.id)).all(),

    update: (identityId, id, change, now) =>
      committer.write(() => {
        if (change.url !== undefined) refuseDuplicate(identityId, change.url, id)
        const values = { ...change, updatedAt: now }
        return orm.update(webhooks).set(values).where(own(identityId, id)).returning().get() ?? null
      }),

    remove: (identityId, id) =>
      committer.write(() => {
        const removed = orm.delete(webhooks).where(own(identityId, id)).returning({ id: webhooks.id }).get()
        if (!removed) return false
        const ofWebhook = and(eq(deliveries.identityId, identityId), eq(deliveries.webhookId, id))
        orm.delete(deliveries).where(ofWebhook).run()
        orm
          .delete(deliveryLanes)
          .where(eq(deliveryLanes.endpoint, `${identityId}/${id}`))
          .run()
        return true
      }),

    claim: ({ leaseId, now, leaseMs, freeOf, maxLanes, maxDeliveriesPerLane }) =>
      committer.write(() => {
        const claimed: ClaimedDeliveries[] = []
        // Ordered here: SQLite sets up its sorter even for one row, and this is asked for nearly every message.
        const longestDueFirst = endpointsDue.all({ now }).sort((one, other) => one.dueAt - other.dueAt)
        for (const { endpoint } of longestDueFirst) {
          const free = Math.min(freeOf(endpoint), maxLanes - claimed.length)
          const webhook = free > 0 ? webhookOf.get(parseEndpoint(endpoint)) : undefined
          // A switched-off endpoint keeps what waits for it until it is switched on again; so does one whose owner is shut out.
          if (!webhook?.active || !usableToken.get({ identityId: webhook.identityId, now })) continue
          for (const { lane } of lanesDue.all({ endpoint, now, limit: free })) {
            lease.run({ lane, leaseId, until: now + leaseMs })
            const work = waiting.all({ lane, limit: maxDeliveriesPerLane })
            claimed.push({ lane, endpoint, leaseId, webhook, deliveries: work })
          }
        }
        return claimed
      }),

    settle: ({ endpoint }, { seq, id }, settlement, now) =>
      committer.write(() => {
        const isOver = settlement.outcome === 'succeeded' || settlement.outcome === 'dead'
        markTried.run({
          seq,
          status:
            settlement.outcome === 'succeeded' || settlement.outcome === 'dead'
              ? settlement.outcome
              : 'pending',
          lastStatus: settlement.status,
          lastError: settlement.outcome === 'succeeded' ? null : settlement.error,
          settledAt: isOver ? now : null,
        })
        if (settlement.outcome !== 'set_aside') return
        const lane = `${endpoint}/aside/${id}`
        moveToLane.run({ seq, lane })
        putLane.run({ lane, endpoint, dueAt: settlement.dueAt })
      }),

    release: ({ lane, leaseId }, dueAt) =>
      committer.write(() => {
        if (anyWaiting.get({ lane })) returnLane.run({ lane, leaseId, dueAt })
        else closeLane.run({ lane })
      }),

    nextDueAt: async () => earliest.get()?.dueAt ?? null,

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

/** Where deliveries to a URL go: one and the same for `http://HOST:80` and `http://host/#there`. */
function endpointOf(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}

function parseEndpoint(endpoint: string): { identityId: string; id: number } {
  const slash = endpoint.lastIndexOf('/')
  return { identityId: endpoint.slice(0, slash), id: Number(endpoint.slice(slash + 1)) }
}
