/** SQL of webhooks themselves: the endpoints of an identity. */
import { and, asc, count, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveryLanes, identities, replays, type Webhook, webhooks } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { GatewayError } from '../../domain/errors.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { endpointKey } from '../events/event-repository.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import { createDeliveryRemover } from './removal-repository.ts'

export type NewWebhook = Pick<Webhook, 'url' | 'active' | 'events' | 'secretSealed' | 'headersSealed'>

/** What is left out stays as it is. */
export type WebhookRowChange = Partial<Pick<Webhook, 'url' | 'active' | 'events' | 'headersSealed'>>

export interface WebhookRepositoryOptions {
  /** How many an identity may have. Those it had before the limit stay. */
  maxPerIdentity: number
  health: Pick<EndpointHealth, 'forget'>
}

export interface WebhookRepository {
  /**
   * @throws GatewayError conflict when the identity has the URL already, in whatever way it is written, or has as many as it may have
   */
  create(identityId: string, webhook: NewWebhook, now: number, onStored?: Recorder<Webhook>): Promise<Webhook>
  list(identityId: string): Promise<Webhook[]>
  find(identityId: string, id: number): Promise<Webhook | null>
  /**
   * Switching one on, or giving one that is on another URL, makes what waits for it due, and forgets that it failed.
   * @returns null when there is no such webhook. @throws GatewayError conflict as `create` does
   */
  update(identityId: string, id: number, change: WebhookRowChange, now: number): Promise<Webhook | null>
  /**
   * The secret it had goes on signing beside the new one.
   * @param oldUntil until when, milliseconds since the epoch; null: no longer at all
   * @returns null when there is no such webhook. @throws GatewayError conflict when a third secret would have to sign
   */
  rotateSecret(
    identityId: string,
    id: number,
    secretSealed: string,
    oldUntil: number | null,
    now: number,
    onStored?: Recorder<Webhook>,
  ): Promise<Webhook | null>
  /** Removes it at once, and then its deliveries in steps. @returns false when there is no such webhook */
  remove(identityId: string, id: number): Promise<boolean>
  /** Removes deliveries of webhooks that are gone: a kill may leave some. */
  removeLeft(): Promise<void>
  /** Removes secrets whose overlap is over. */
  forgetOldSecrets(now: number): Promise<void>
}

/** As it is when nothing has been tried, or nothing counts any more. */
const UNTROUBLED = { disabledReason: null, failingSince: null, lastError: null, lastErrorAt: null }

const param = sql.placeholder
const byId = statement(orm =>
  orm
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.identityId, param('identityId')), eq(webhooks.id, param('id')))),
)
const ofIdentity = statement(orm =>
  orm
    .select()
    .from(webhooks)
    .where(eq(webhooks.identityId, param('identityId')))
    .orderBy(asc(webhooks.id)),
)
const countOfIdentity = statement(orm =>
  orm
    .select({ count: count() })
    .from(webhooks)
    .where(eq(webhooks.identityId, param('identityId'))),
)
const takeId = statement(orm =>
  orm
    .update(identities)
    .set({ nextWebhookId: sql`${identities.nextWebhookId} + 1` })
    .where(eq(identities.id, param('identityId')))
    .returning({ next: identities.nextWebhookId }),
)

const own = (identityId: string, id: number) => and(eq(webhooks.identityId, identityId), eq(webhooks.id, id))

async function refuseDuplicate(tx: Tx, identityId: string, url: string, except?: number): Promise<void> {
  const endpoint = endpointOf(url)
  const all = await tx.all(ofIdentity, { identityId })
  const other = all.find(webhook => webhook.id !== except && endpointOf(webhook.url) === endpoint)
  if (other) throw new GatewayError('conflict', `url: webhook ${other.id} has this URL already`)
}

/** Until the time that was told, receivers may know the old secret alone. */
async function refuseOverlap(tx: Tx, identityId: string, id: number, now: number): Promise<void> {
  const until = (await tx.get(byId, { identityId, id }))?.oldSecretUntil ?? 0
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

export function createWebhookRepository(
  db: Pick<Db, 'read' | 'write'>,
  { maxPerIdentity, health }: WebhookRepositoryOptions,
): WebhookRepository {
  const remover = createDeliveryRemover(db)

  async function refuseTooMany(tx: Tx, identityId: string): Promise<void> {
    const there = await tx.get(countOfIdentity, { identityId })
    if ((there?.count ?? 0) < maxPerIdentity) return
    throw new GatewayError(
      'conflict',
      `there are ${maxPerIdentity} webhooks already, as many as there may be (WEBHOOKS_MAX): delete one first`,
    )
  }

  return {
    create: (identityId, webhook, now, onStored) =>
      db.write(async tx => {
        await refuseTooMany(tx, identityId)
        await refuseDuplicate(tx, identityId, webhook.url)
        const counter = await tx.get(takeId, { identityId })
        if (!counter) throw new GatewayError('not_found', 'the identity is gone')
        const row = { identityId, id: counter.next - 1, ...webhook, createdAt: now, updatedAt: now }
        const made = (await tx.get(orm => orm.insert(webhooks).values(row).returning())) as Webhook
        await onStored?.(tx, made)
        return made
      }),

    list: identityId => db.read(reader => reader.all(ofIdentity, { identityId })),

    async find(identityId, id) {
      return (await db.read(reader => reader.get(byId, { identityId, id }))) ?? null
    },

    update: (identityId, id, change, now) =>
      db.write(async tx => {
        const before = await tx.get(byId, { identityId, id })
        if (!before) return null
        if (change.url !== undefined) await refuseDuplicate(tx, identityId, change.url, id)
        const isActivated = change.active === true && !before.active
        const isMoved = change.url !== undefined && change.url !== before.url
        const beginsAnew = isActivated || (isMoved && (change.active ?? before.active))
        if (beginsAnew) {
          tx.afterCommit(() => health.forget(endpointKey(identityId, id)))
          await makeLanesDue(tx, identityId, id, now)
        }
        const values = { ...change, ...(beginsAnew ? UNTROUBLED : {}), updatedAt: now }
        const changed = await tx.get(orm =>
          orm.update(webhooks).set(values).where(own(identityId, id)).returning(),
        )
        return changed ?? null
      }),

    rotateSecret: (identityId, id, secretSealed, oldUntil, now, onStored) =>
      db.write(async tx => {
        if (oldUntil !== null) await refuseOverlap(tx, identityId, id, now)
        const oldSecretSealed = oldUntil === null ? null : sql`${webhooks.secretSealed}`
        const values = { secretSealed, oldSecretSealed, oldSecretUntil: oldUntil, updatedAt: now }
        const changed = await tx.get(orm =>
          orm.update(webhooks).set(values).where(own(identityId, id)).returning(),
        )
        if (changed) await onStored?.(tx, changed)
        return changed ?? null
      }),

    async remove(identityId, id) {
      const isRemoved = await db.write(async tx => {
        const removed = await tx.get(orm =>
          orm.delete(webhooks).where(own(identityId, id)).returning({ id: webhooks.id }),
        )
        if (!removed) return false
        const ofWebhook = and(eq(replays.identityId, identityId), eq(replays.webhookId, id))
        await tx.run(orm => orm.delete(replays).where(ofWebhook))
        return true
      })
      if (isRemoved) await remover.removeOf({ identityId, webhookId: id })
      return isRemoved
    },

    removeLeft: remover.removeLeft,

    forgetOldSecrets: now =>
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

/** Where deliveries to a URL go: one and the same for `http://HOST:80` and `http://host/#there`. */
function endpointOf(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}
