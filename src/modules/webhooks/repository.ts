/** SQL of webhooks themselves: the endpoints of an identity. */
import { and, asc, count, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { deliveryLanes, identities, replays, type Webhook, webhooks } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { endpointKey } from '../events/repository.ts'
import { createDeliveryRemover } from './removal-repository.ts'

export type NewWebhook = Pick<Webhook, 'url' | 'active' | 'events' | 'secretSealed' | 'headersSealed'>

/** What is left out stays as it is. */
export type WebhookRowChange = Partial<Pick<Webhook, 'url' | 'active' | 'events' | 'headersSealed'>>

export interface WebhookLimits {
  /** How many an identity may have. Those it had before the limit stay. */
  maxPerIdentity: number
}

export interface WebhookRepository {
  /**
   * @param onStored is called inside the transaction
   * @throws GatewayError conflict when the identity has the URL already, in whatever way it is written, or has as many as it may have
   */
  create(
    identityId: string,
    webhook: NewWebhook,
    now: number,
    onStored?: (webhook: Webhook) => void,
  ): Promise<Webhook>
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
   * @param onStored is called inside the transaction
   * @returns null when there is no such webhook. @throws GatewayError conflict when a third secret would have to sign
   */
  rotateSecret(
    identityId: string,
    id: number,
    secretSealed: string,
    oldUntil: number | null,
    now: number,
    onStored?: (webhook: Webhook) => void,
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

export function createWebhookRepository(db: Db, { maxPerIdentity }: WebhookLimits): WebhookRepository {
  const { orm, committer } = db
  const remover = createDeliveryRemover(db)
  const own = (identityId: string, id: number) =>
    and(eq(webhooks.identityId, identityId), eq(webhooks.id, id))

  function refuseTooMany(identityId: string): void {
    const there = orm
      .select({ count: count() })
      .from(webhooks)
      .where(eq(webhooks.identityId, identityId))
      .get()
    if ((there?.count ?? 0) < maxPerIdentity) return
    throw new GatewayError(
      'conflict',
      `there are ${maxPerIdentity} webhooks already, as many as there may be (WEBHOOKS_MAX): delete one first`,
    )
  }

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

  /** Until the time that was told, receivers may know the old secret alone. */
  function refuseOverlap(identityId: string, id: number, now: number): void {
    const until = orm.select().from(webhooks).where(own(identityId, id)).get()?.oldSecretUntil ?? 0
    if (until <= now) return
    throw new GatewayError(
      'conflict',
      `the secret before the present one signs until ${rfc3339(until)} (old_secret_until): rotate again then, or with overlap_s 0, which ends both at once`,
    )
  }

  function makeLanesDue(identityId: string, id: number, now: number): void {
    const lanes = and(eq(deliveryLanes.endpoint, endpointKey(identityId, id)), isNull(deliveryLanes.leaseId))
    orm.update(deliveryLanes).set({ dueAt: now }).where(lanes).run()
  }

  return {
    create: (identityId, webhook, now, onStored) =>
      committer.write(() => {
        refuseTooMany(identityId)
        refuseDuplicate(identityId, webhook.url)
        const counter = orm
          .update(identities)
          .set({ nextWebhookId: sql`${identities.nextWebhookId} + 1` })
          .where(eq(identities.id, identityId))
          .returning({ next: identities.nextWebhookId })
          .get()
        if (!counter) throw new GatewayError('not_found', 'the identity is gone')
        const id = counter.next - 1
        const made = orm
          .insert(webhooks)
          .values({ identityId, id, ...webhook, createdAt: now, updatedAt: now })
          .returning()
          .get()
        onStored?.(made)
        return made
      }),

    list: async identityId =>
      orm.select().from(webhooks).where(eq(webhooks.identityId, identityId)).orderBy(asc(webhooks.id)).all(),

    find: async (identityId, id) => orm.select().from(webhooks).where(own(identityId, id)).get() ?? null,

    update: (identityId, id, change, now) =>
      committer.write(() => {
        const before = orm.select().from(webhooks).where(own(identityId, id)).get()
        if (!before) return null
        if (change.url !== undefined) refuseDuplicate(identityId, change.url, id)
        const isActivated = change.active === true && !before.active
        const isMoved = change.url !== undefined && change.url !== before.url
        const beginsAnew = isActivated || (isMoved && (change.active ?? before.active))
        if (beginsAnew) makeLanesDue(identityId, id, now)
        const values = { ...change, ...(beginsAnew ? UNTROUBLED : {}), updatedAt: now }
        return orm.update(webhooks).set(values).where(own(identityId, id)).returning().get() ?? null
      }),

    rotateSecret: (identityId, id, secretSealed, oldUntil, now, onStored) =>
      committer.write(() => {
        if (oldUntil !== null) refuseOverlap(identityId, id, now)
        const oldSecretSealed = oldUntil === null ? null : sql`${webhooks.secretSealed}`
        const values = { secretSealed, oldSecretSealed, oldSecretUntil: oldUntil, updatedAt: now }
        const changed = orm.update(webhooks).set(values).where(own(identityId, id)).returning().get()
        if (changed) onStored?.(changed)
        return changed ?? null
      }),

    async remove(identityId, id) {
      const isRemoved = await committer.write(() => {
        const removed = orm.delete(webhooks).where(own(identityId, id)).returning({ id: webhooks.id }).get()
        if (!removed) return false
        orm
          .delete(replays)
          .where(and(eq(replays.identityId, identityId), eq(replays.webhookId, id)))
          .run()
        return true
      })
      if (isRemoved) await remover.removeOf({ identityId, webhookId: id })
      return isRemoved
    },

    removeLeft: remover.removeLeft,

    forgetOldSecrets: now =>
      committer.write(() => {
        orm
          .update(webhooks)
          .set({ oldSecretSealed: null, oldSecretUntil: null })
          .where(sql`${webhooks.oldSecretUntil} <= ${now}`)
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
