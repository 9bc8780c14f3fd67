/**
 * SQL of messages that neither a try nor a report decides on: one is taken back, has waited too long, its device was deleted, or its bridge says
 * nothing of it.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devices, type Message, media, messages, outboxLanes } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import type { Observer } from '../../domain/observation.ts'
import { expiredReason } from './expired.ts'
import { isLaneOfDevice, lanesOf } from './lane-repository.ts'
import { findMessage, type MessageWithDevice } from './repository.ts'
import type { StatusWriter } from './status-repository.ts'
import { VOID_REASON } from './void.ts'

/** What comes of ending messages that waited. */
export interface Ended {
  /** Whether there is something to deliver. */
  deliveries: boolean
  /** Files whose rows are gone, as no message needs them any more. */
  unneeded: string[]
}

export interface Cancelled extends Ended {
  /** False: it was queued no more, and stays as it is. */
  cancelled: boolean
  found: MessageWithDevice
}

export interface MessageEndings {
  /** Takes back a message if it is still queued. @returns null when the identity has no such message */
  cancel(identityId: string, id: string, now: number): Promise<Cancelled | null>
  /** Fails messages that are queued beyond their `expires_at`, those that are longest beyond it first. @returns how many, at most `limit` */
  expire(now: number, limit: number): Promise<{ count: number } & Ended>
  /** Devices that were deleted and for which something waits, and those that were linked again before all of it had failed. */
  voidQueues(): Promise<string[]>
  /**
   * Fails messages that wait for a device that was deleted; what is being sent just now is left to whoever sends it.
   * @returns how many, at most `limit`
   */
  failVoid(deviceRowId: string, limit: number, now: number): Promise<{ count: number } & Ended>
  /** Takes as sent what was handed over before `before` and what nobody has said anything about. @returns how many, at most `limit` */
  settleSilent(before: number, limit: number, now: number): Promise<{ count: number; deliveries: boolean }>
}

/** @param onEnded is called with the device of a message that waits no more and wasn't tried: it may leave a slot that nobody uses */
export function createMessageEndings(
  db: Db,
  statuses: Pick<StatusWriter, 'ended' | 'stayedSilent'>,
  observer?: Pick<Observer, 'messageSettled'>,
  onEnded?: (deviceRowId: string) => void,
): MessageEndings {
  const { orm, committer } = db
  const stillNeeded = orm
    .select({ seq: messages.seq })
    .from(messages)
    // Also by one that was handed over: the network may ask for it to be sent again.
    .where(
      sql`${messages.mediaId} = ${textParam('mediaId')} and ${messages.status} not in ('failed', 'cancelled')`,
    )
    .limit(ONE)
    .prepare()
  const expired = orm
    .select()
    .from(messages)
    .where(
      // As the index messages_expiring has it.
      sql`${messages.expiresAt} <= ${numberParam('now')} and ${messages.status} = 'queued' and ${messages.expiresAt} is not null`,
    )
    .orderBy(messages.expiresAt)
    .limit(limitParam('limit'))
    .prepare()
  // The status is spelled out, as a partial index is found by its text.
  const silent = orm
    .select({
      seq: messages.seq,
      id: messages.id,
      identityId: messages.identityId,
      deviceRowId: messages.deviceRowId,
      createdAt: messages.createdAt,
    })
    .from(messages)
    .where(sql`${messages.status} = 'submitted' and ${messages.updatedAt} <= ${numberParam('before')}`)
    .orderBy(messages.updatedAt)
    .limit(limitParam('limit'))
    .prepare()

  // What is void is small beside what was ever linked, and so are the devices beside their messages: looked for one by one.
  const queues = orm
    .select({ deviceRowId: devices.id })
    .from(devices)
    .where(
      sql`${devices.voidThrough} is not null or (${devices.removedAt} is not null and exists (select 1 from outbox_lanes
        where lane >= ${devices.id} || '/' and lane < ${devices.id} || '0'))`,
    )
    .prepare()
  const voidThrough = orm
    .select({
      seq: sql<
        number | null
      >`case when ${devices.removedAt} is null then ${devices.voidThrough} else ${Number.MAX_SAFE_INTEGER} end`,
    })
    .from(devices)
    .where(eq(devices.id, sql.placeholder('deviceRowId')))
    .prepare()
  // What a kill left as `sending` is in a lane that nobody holds.
  const voided = orm
    .select()
    .from(messages)
    .where(
      sql`${isLaneOfDevice(messages.lane)} and ${messages.status} in ('queued', 'sending') and ${messages.seq} <= ${numberParam('through')}
        and (${messages.status} = 'queued' or not exists (select 1 from outbox_lanes
          where outbox_lanes.lane = messages.lane and outbox_lanes.lease_id is not null))`,
    )
    .limit(limitParam('limit'))
    .prepare()
  // One that holds a slot stays until that is given back.
  const closeLane = orm
    .delete(outboxLanes)
    .where(
      sql`${outboxLanes.lane} = ${sql.placeholder('lane')} and ${outboxLanes.leaseId} is null and ${outboxLanes.hasSlot} = 0 and not exists (select 1 from messages
        where messages.lane = outbox_lanes.lane and messages.status in ('queued', 'sending'))`,
    )
    .prepare()
  const clearMark = orm
    .update(devices)
    .set({ voidThrough: null })
    .where(
      sql`${devices.id} = ${sql.placeholder('deviceRowId')} and ${devices.voidThrough} is not null and not exists (select 1 from messages
        where ${isLaneOfDevice(messages.lane)} and messages.status in ('queued', 'sending') and messages.seq <= devices.void_through)`,
    )
    .prepare()

  /** Inside a transaction. @returns the file, if it has one that may go now */
  function releaseFile(mediaId: string | null): string[] {
    if (mediaId === null || stillNeeded.get({ mediaId })) return []
    orm.delete(media).where(eq(media.id, mediaId)).run()
    return [mediaId]
  }

  /** Inside a transaction. @param reasonOf why each of them failed */
  function failAll(found: readonly Message[], reasonOf: (message: Message) => string, now: number): Ended {
    const ended: Ended = { deliveries: false, unneeded: [] }
    for (const message of found) {
      ended.deliveries = statuses.ended(message, 'failed', reasonOf(message), now) || ended.deliveries
      noteEnded(message, 'failed', now)
      ended.unneeded.push(...releaseFile(message.mediaId))
    }
    return ended
  }

  /** No try tells of it. */
  function noteEnded(message: Message, status: 'failed' | 'cancelled', now: number): void {
    const { id, deviceRowId, createdAt } = message
    const outcome = { messageId: id, deviceRowId, status, ageMs: now - createdAt }
    committer.afterCommit(() => {
      observer?.messageSettled(outcome)
      onEnded?.(deviceRowId)
    })
  }

  return {
    cancel: (identityId, id, now) =>
      committer.write(() => {
        const found = findMessage(db, identityId, id)
        if (!found) return null
        const { message } = found
        // What is claimed is `sending`: nobody holds a message that is queued.
        if (message.status !== 'queued') return { found, cancelled: false, deliveries: false, unneeded: [] }
        const deliveries = statuses.ended(message, 'cancelled', null, now)
        noteEnded(message, 'cancelled', now)
        const changed = { ...message, status: 'cancelled' as const, reason: null, updatedAt: now }
        return {
          found: { ...found, message: changed },
          cancelled: true,
          deliveries,
          unneeded: releaseFile(message.mediaId),
        }
      }),

    expire: (now, limit) =>
      committer.write(() => {
        const found = expired.all({ now, limit })
        return { count: found.length, ...failAll(found, expiredReason, now) }
      }),

    voidQueues: async () => queues.all().map(({ deviceRowId }) => deviceRowId),

    failVoid: (deviceRowId, limit, now) =>
      committer.write(() => {
        const through = voidThrough.get({ deviceRowId })?.seq ?? 0
        const ofDevice = lanesOf(deviceRowId)
        const found = voided.all({ ...ofDevice, through, limit })
        const ended = failAll(found, () => VOID_REASON, now)
        for (const lane of new Set(found.map(message => message.lane))) closeLane.run({ lane })
        if (found.length < limit) clearMark.run({ deviceRowId, ...ofDevice })
        return { count: found.length, ...ended }
      }),

    settleSilent: (before, limit, now) =>
      committer.write(() => {
        const found = silent.all({ before, limit })
        let deliveries = false
        for (const message of found) deliveries = statuses.stayedSilent(message, now) || deliveries
        return { count: found.length, deliveries }
      }),
  }
}
