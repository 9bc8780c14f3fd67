/** SQL of webhooks: the endpoints of an identity, and removing one with all its deliveries. */
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { equal, rowsBy } from '../../db/row-statements.ts'
import {
  deliveries,
  deliveryLanes,
  identities,
  replays,
  type Webhook,
  webhooks,
} from '../../db/schema/index.ts'
import { numberParam, ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { GatewayError } from '../../domain/errors.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { endpointKey } from '../events/event-repository.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { EndpointHealth } from './endpoint-health.ts'

export type NewWebhook = Pick<
  Webhook,
  'url' | 'active' | 'events' | 'filters' | 'media' | 'secretSealed' | 'headersSealed'
>

/** Absent columns stay as they are. */
export type WebhookRowChange = Partial<Omit<NewWebhook, 'secretSealed'>>

export interface WebhookRepositoryOptions {
  /** Webhooks of an identity. Existing ones beyond the limit stay. */
  maxPerIdentity: number
  health: Pick<EndpointHealth, 'reset'>
}

type Owner = Pick<typeof deliveries.$inferSelect, 'identityId' | 'webhookId'>

/** Rows that a step of a removal takes: a millisecond or two. */
const REMOVAL_STEP = 100
/** State of a webhook without failures. */
const HEALTHY = { disabledReason: null, failingSince: null, lastError: null, lastErrorAt: null }

const param = sql.placeholder
export const webhookById = rowsBy(webhooks, 'identityId', 'id')
const ofIdentity = statement(orm =>
  orm.select().from(webhooks).where(equal(webhooks, 'identityId')).orderBy(asc(webhooks.id)),
)
const takeId = statement(orm =>
  orm
    .update(identities)
    .set({ nextWebhookId: sql`${identities.nextWebhookId} + 1` })
    .where(eq(identities.id, param('identityId')))
    .returning({ next: identities.nextWebhookId }),
)

const removeLanes = statement(orm =>
  orm
    .delete(deliveryLanes)
    .where(
      sql`${deliveryLanes.lane} in (select lane from delivery_lanes
        where endpoint = ${textParam('endpoint')} limit ${numberParam('limit')})`,
    )
    .returning({ lane: deliveryLanes.lane }),
)
const removeRows = statement(orm =>
  orm
    .delete(deliveries)
    .where(
      sql`${deliveries.seq} in (select seq from deliveries where identity_id = ${textParam('identityId')}
        and webhook_id = ${numberParam('webhookId')} limit ${numberParam('limit')})`,
    )
    .returning({ seq: deliveries.seq }),
)
const ownerAfter = statement(orm =>
  orm
    .select({ identityId: deliveries.identityId, webhookId: deliveries.webhookId })
    .from(deliveries)
    // With all columns of the index SQLite jumps over the other deliveries of a webhook.
    .where(
      sql`(${deliveries.identityId}, ${deliveries.webhookId}, ${deliveries.eventSeq})
        > (${textParam('identityId')}, ${numberParam('webhookId')}, ${Number.MAX_SAFE_INTEGER})`,
    )
    .orderBy(deliveries.identityId, deliveries.webhookId)
    .limit(ONE),
)

const own = (identityId: string, id: number) => and(eq(webhooks.identityId, identityId), eq(webhooks.id, id))

function refuseDuplicate(known: readonly Webhook[], url: string): void {
  const endpoint = endpointOf(url)
  const other = known.find(webhook => endpointOf(webhook.url) === endpoint)
  if (other) throw new GatewayError('conflict', `url: webhook ${other.id} has this URL already`)
}

/** Until the announced time, receivers may know only the old secret. */
async function refuseOverlap(tx: Tx, identityId: string, id: number, now: number): Promise<void> {
  const until = (await tx.get(webhookById, { identityId, id }))?.oldSecretUntil ?? 0
  if (until <= now) return
  throw new GatewayError(
    'conflict',
    `the secret before the present one signs until ${rfc3339(until)} (old_secret_until): rotate again then, or with overlap_s 0, which ends both at once`,
  )
}

async function makeLanesDue(tx: Tx, identityId: string, id: number, now: number): Promise<void> {
  const lanes = and(eq(deliveryLanes.endpoint, endpointKey(identityId, id)), isNull(deliveryLanes.leaseId))
  await tx.run(orm => orm.update(deliveryLanes).set({ dueAt: now }).where(lanes))
  tx.emit('deliveries')
}

export type WebhookRepository = ReturnType<typeof createWebhookRepository>

export function createWebhookRepository(
  db: Pick<Db, 'read' | 'write'>,
  { maxPerIdentity, health }: WebhookRepositoryOptions,
) {
  return {
    /**
     * @throws GatewayError conflict when the identity has the URL already, in any spelling, or has
     * as many webhooks as it may have
     */
    create: (identityId: string, webhook: NewWebhook, now: number, onStored: Recorder<Webhook>) =>
      db.write(async tx => {
        const known = await tx.all(ofIdentity, { identityId })
        if (known.length >= maxPerIdentity)
          throw new GatewayError(
            'conflict',
            `there are ${maxPerIdentity} webhooks already, as many as there may be (WEBHOOKS_MAX): delete one first`,
          )
        refuseDuplicate(known, webhook.url)
        const counter = await tx.get(takeId, { identityId })
        if (!counter) throw new GatewayError('not_found', 'the identity is gone')
        const row = { identityId, id: counter.next - 1, ...webhook, createdAt: now, updatedAt: now }
        const made = (await tx.get(orm => orm.insert(webhooks).values(row).returning())) as Webhook
        await onStored(tx, made)
        return made
      }),

    list: (identityId: string) => db.read(reader => reader.all(ofIdentity, { identityId })),

    find: async (identityId: string, id: number): Promise<Webhook | null> =>
      (await db.read(reader => reader.get(webhookById, { identityId, id }))) ?? null,

    /**
     * Switching it on, or changing its URL while it is on, makes waiting deliveries due and forgets
     * its failures.
     * @returns null when there is no such webhook
     * @throws GatewayError conflict as `create` does
     */
    update: (identityId: string, id: number, change: WebhookRowChange, now: number) =>
      db.write(async tx => {
        const known = await tx.all(ofIdentity, { identityId })
        const before = known.find(webhook => webhook.id === id)
        if (!before) return null
        if (change.url !== undefined)
          refuseDuplicate(
            known.filter(webhook => webhook !== before),
            change.url,
          )
        const isActivated = change.active === true && !before.active
        const isMoved = change.url !== undefined && change.url !== before.url
        const beginsAnew = isActivated || (isMoved && (change.active ?? before.active))
        if (beginsAnew) {
          tx.afterCommit(() => health.reset(endpointKey(identityId, id)))
          await makeLanesDue(tx, identityId, id, now)
        }
        const values = { ...change, ...(beginsAnew ? HEALTHY : {}), updatedAt: now }
        const changed = await tx.get(orm =>
          orm.update(webhooks).set(values).where(own(identityId, id)).returning(),
        )
        return changed ?? null
      }),

    /**
     * The old secret goes on signing beside the new one.
     * @param oldUntil until when, in milliseconds since the epoch; null ends it at once
     * @returns null when there is no such webhook
     * @throws GatewayError conflict when a third secret would have to sign
     */
    rotateSecret: (
      identityId: string,
      id: number,
      secretSealed: string,
      oldUntil: number | null,
      now: number,
      onStored: Recorder<Webhook>,
    ) =>
      db.write(async tx => {
        if (oldUntil !== null) await refuseOverlap(tx, identityId, id, now)
        const oldSecretSealed = oldUntil === null ? null : sql`${webhooks.secretSealed}`
        const values = { secretSealed, oldSecretSealed, oldSecretUntil: oldUntil, updatedAt: now }
        const changed = await tx.get(orm =>
          orm.update(webhooks).set(values).where(own(identityId, id)).returning(),
        )
        if (changed) await onStored(tx, changed)
        return changed ?? null
      }),

    /**
     * Removes it at once, and then its deliveries in steps.
     * @returns false when there is no such webhook
     */
    async remove(identityId: string, id: number): Promise<boolean> {
      const isRemoved = await db.write(async tx => {
        const removed = await tx.get(orm =>
          orm.delete(webhooks).where(own(identityId, id)).returning({ id: webhooks.id }),
        )
        if (!removed) return false
        const ofWebhook = and(eq(replays.identityId, identityId), eq(replays.webhookId, id))
        await tx.run(orm => orm.delete(replays).where(ofWebhook))
        return true
      })
      if (isRemoved) await removeDeliveries(db, { identityId, webhookId: id })
      return isRemoved
    },

    /** Removes deliveries of removed webhooks, which a kill may leave. */
    async removeOrphans(): Promise<void> {
      const next = (after: Owner) => db.read(reader => reader.get(ownerAfter, after))
      let owner = await next({ identityId: '', webhookId: 0 })
      while (owner) {
        const key = { identityId: owner.identityId, id: owner.webhookId }
        if (!(await db.read(reader => reader.get(webhookById, key)))) await removeDeliveries(db, owner)
        await yieldToEventLoop()
        owner = await next(owner)
      }
    },

    /** Removes old secrets that no longer sign. */
    forgetOldSecrets: (now: number) =>
      db.write(tx =>
        tx.run(orm =>
          orm
            .update(webhooks)
            .set({ oldSecretSealed: null, oldSecretUntil: null })
            .where(sql`${webhooks.oldSecretUntil} <= ${now}`),
        ),
      ),
  }
}

/** The same for every spelling of a URL, such as `http://HOST:80` and `http://host/#there`. */
function endpointOf(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}

/**
 * Removes the deliveries of a removed webhook. There may be hundreds of thousands, so it lets
 * others in between steps. Ids of webhooks aren't reused, so leftovers go nowhere.
 */
async function removeDeliveries(db: Pick<Db, 'write'>, owner: Owner): Promise<void> {
  while (await db.write(tx => removalStep(tx, owner))) await yieldToEventLoop()
}

/** @returns true when it removed any */
async function removalStep(tx: Tx, owner: Owner): Promise<boolean> {
  const limit = REMOVAL_STEP
  const endpoint = endpointKey(owner.identityId, owner.webhookId)
  // First, as lanes without deliveries would never be found again.
  const lanes = await tx.all(removeLanes, { endpoint, limit })
  const rows = lanes.length < limit ? await tx.all(removeRows, { ...owner, limit }) : []
  return lanes.length + rows.length > 0
}
