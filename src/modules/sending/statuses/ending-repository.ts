/**
 * SQL of messages that end without a try or a report: one is taken back, has waited too long, its
 * device was deleted, or its bridge stays silent.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../../db/open.ts'
import { type Device, devices, type Message, media, messages, outboxLanes } from '../../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../../db/stable-params.ts'
import { statement } from '../../../db/statement.ts'
import type { Tx } from '../../../db/transaction.ts'
import { findMessage, isInClosedRoom, type MessageWithDevice, waitsSince } from '../message-repository.ts'
import { isLaneOfDevice, lanesOf } from '../queue/lane-repository.ts'
import type { StatusWriter } from './status-repository.ts'

/** Messages that ended. */
export interface Ended {
  count: number
  /** Files whose rows are gone, as no message needs them any more. */
  unneeded: string[]
}

const stillNeeded = statement(orm =>
  orm
    .select({ seq: messages.seq })
    .from(messages)
    // Also by one that was handed over: the network may ask for it to be sent again.
    .where(
      sql`${messages.mediaId} = ${textParam('mediaId')} and ${messages.status} not in ('failed', 'cancelled')`,
    )
    .limit(ONE),
)
const expired = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      // As the index messages_expiring has it.
      sql`${messages.expiresAt} <= ${numberParam('now')} and ${messages.status} = 'queued' and ${messages.expiresAt} is not null`,
    )
    .orderBy(messages.expiresAt)
    .limit(limitParam('limit')),
)
// The status is spelled out, as a partial index is found by its text. What is silent in a closed
// room is sent again instead (closed-rooms.ts).
const silent = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      sql`${messages.status} = 'submitted' and ${messages.updatedAt} <= ${numberParam('before')} and not ${isInClosedRoom}`,
    )
    .orderBy(messages.updatedAt)
    .limit(limitParam('limit')),
)

// Deleted devices are few beside all devices, and devices beside their messages, so each device's
// lanes are looked for by themselves.
const isScheduledFor = sql`exists (select 1 from messages where status = 'scheduled'
  and lane >= ${devices.id} || '/' and lane < ${devices.id} || '0')`
const queues = statement(orm =>
  orm
    .select({ deviceRowId: devices.id })
    .from(devices)
    .where(
      sql`${devices.discardedThrough} is not null or (${devices.removedAt} is not null and (exists (select 1 from outbox_lanes
        where lane >= ${devices.id} || '/' and lane < ${devices.id} || '0') or ${isScheduledFor}))`,
    ),
)
const discardedThrough = statement(orm =>
  orm
    .select({
      seq: sql<
        number | null
      >`case when ${devices.removedAt} is null then ${devices.discardedThrough} else ${Number.MAX_SAFE_INTEGER} end`,
    })
    .from(devices)
    .where(eq(devices.id, sql.placeholder('deviceRowId'))),
)
// A message that a kill left as `sending` is in a lane that nobody holds.
const discarded = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      sql`${isLaneOfDevice(messages.lane)} and ${messages.status} in ('queued', 'sending') and ${messages.seq} <= ${numberParam('through')}
        and (${messages.status} = 'queued' or not exists (select 1 from outbox_lanes
          where outbox_lanes.lane = messages.lane and outbox_lanes.lease_id is not null))`,
    )
    .limit(limitParam('limit')),
)
const discardedScheduled = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      sql`${isLaneOfDevice(messages.lane)} and ${messages.status} = 'scheduled' and ${messages.seq} <= ${numberParam('through')}`,
    )
    .limit(limitParam('limit')),
)
const closeLane = statement(orm =>
  orm.delete(outboxLanes).where(
    sql`${outboxLanes.lane} = ${sql.placeholder('lane')} and ${outboxLanes.leaseId} is null and not exists (select 1 from messages
        where messages.lane = outbox_lanes.lane and messages.status in ('queued', 'sending'))`,
  ),
)
const clearMark = statement(orm =>
  orm
    .update(devices)
    .set({ discardedThrough: null })
    .where(
      sql`${devices.id} = ${sql.placeholder('deviceRowId')} and ${devices.discardedThrough} is not null and not exists (select 1 from messages
        where ${isLaneOfDevice(messages.lane)} and messages.status in ('queued', 'sending') and messages.seq <= devices.discarded_through)
        and not exists (select 1 from messages
          where ${isLaneOfDevice(messages.lane)} and messages.status = 'scheduled' and messages.seq <= devices.discarded_through)`,
    ),
)
const removeFile = statement(orm => orm.delete(media).where(eq(media.id, sql.placeholder('mediaId'))))

export type MessageEndings = ReturnType<typeof createMessageEndings>

export function createMessageEndings(
  db: Pick<Db, 'read' | 'write'>,
  statuses: Pick<StatusWriter, 'endedUntried' | 'stayedSilent'>,
) {
  async function failAll(
    tx: Tx,
    found: readonly Message[],
    reasonOf: (message: Message) => string,
    now: number,
  ): Promise<Ended> {
    const unneeded: string[] = []
    for (const message of found) {
      await statuses.endedUntried(tx, message, 'failed', reasonOf(message), now)
      unneeded.push(...(await releaseFile(tx, message.mediaId)))
    }
    return { count: found.length, unneeded }
  }

  /**
   * Cancels a message if it is still queued. Nobody holds such a one: a claimed one is `sending`.
   * @returns files that nothing needs any more; null when it was queued no more
   */
  async function takeBack(tx: Tx, { message }: MessageWithDevice, now: number): Promise<string[] | null> {
    if (message.status !== 'queued' && message.status !== 'scheduled') return null
    await statuses.endedUntried(tx, message, 'cancelled', null, now)
    return releaseFile(tx, message.mediaId)
  }

  const isAny = (query: typeof expired | typeof silent, values: Record<string, unknown>) =>
    db.read(async reader => (await reader.get<unknown>(query, values)) !== undefined)

  return {
    /**
     * Ends a message that was stored just now and that its chat doesn't take.
     * @returns its file, if no other message needs it
     */
    async refuse(tx: Tx, identityId: string, id: string, reason: string, now: number): Promise<string[]> {
      const found = await findMessage(tx, identityId, id)
      if (!found) return []
      await statuses.endedUntried(tx, found.message, 'failed', reason, now)
      return releaseFile(tx, found.message.mediaId)
    },

    /**
     * Takes back a message if it is still queued; `cancelled` is false when it was queued no more.
     * @returns null when the identity has no such message
     */
    cancel: (identityId: string, id: string, now: number) =>
      db.write(async tx => {
        const found = await findMessage(tx, identityId, id)
        if (!found) return null
        const { message } = found
        const unneeded = await takeBack(tx, found, now)
        if (unneeded === null) return { found, cancelled: false, unneeded: [] }
        const changed = { ...message, status: 'cancelled' as const, reason: null, updatedAt: now }
        return { found: { ...found, message: changed }, cancelled: true, unneeded }
      }),

    takeBack: async (tx: Tx, identityId: string, id: string, now: number) => {
      const found = await findMessage(tx, identityId, id)
      return found && takeBack(tx, found, now)
    },

    /** Fails at most `limit` messages that are queued beyond their `expires_at`, oldest first. */
    async expire(now: number, limit: number): Promise<Ended> {
      // Seldom is there anything to write.
      if (!(await isAny(expired, { now, limit: 1 }))) return { count: 0, unneeded: [] }
      return db.write(async tx => failAll(tx, await tx.all(expired, { now, limit }), expiredReason, now))
    },

    /**
     * @returns deleted devices for which something waits, and those that were linked again before
     * all of it had failed
     */
    async discardedQueues(): Promise<string[]> {
      const found = await db.read(reader => reader.all(queues))
      return found.map(({ deviceRowId }) => deviceRowId)
    },

    /**
     * Fails messages that wait for a device that was deleted, at most `limit`; one that is being
     * sent just now is left to whoever sends it.
     */
    failDiscarded: (deviceRowId: string, limit: number, now: number) =>
      db.write(async tx => {
        const through = (await tx.get(discardedThrough, { deviceRowId }))?.seq ?? 0
        const ofDevice = lanesOf(deviceRowId)
        const waiting = await tx.all(discarded, { ...ofDevice, through, limit })
        const left = limit - waiting.length
        const scheduled = await tx.all(discardedScheduled, { ...ofDevice, through, limit: left })
        const found = [...waiting, ...scheduled]
        const ended = await failAll(tx, found, () => DEVICE_DELETED, now)
        for (const lane of new Set(found.map(message => message.lane))) await tx.run(closeLane, { lane })
        if (found.length < limit) await tx.run(clearMark, { deviceRowId, ...ofDevice })
        return ended
      }),

    /**
     * Marks messages handed over before `before` without a status as sent.
     * @returns how many, at most `limit`
     */
    async settleSilent(before: number, limit: number, now: number): Promise<number> {
      if (!(await isAny(silent, { before, limit: 1 }))) return 0
      return db.write(async tx => {
        const found = await tx.all(silent, { before, limit })
        for (const message of found) await statuses.stayedSilent(tx, message, now)
        return found.length
      })
    },
  }
}

/** @returns the file, if it has one that may go now */
async function releaseFile(tx: Tx, mediaId: string | null): Promise<string[]> {
  if (mediaId === null || (await tx.get(stillNeeded, { mediaId }))) return []
  await tx.run(removeFile, { mediaId })
  return [mediaId]
}

export function isExpired({ expiresAt }: Pick<Message, 'expiresAt'>, now: number): boolean {
  return expiresAt !== null && expiresAt <= now
}

/** Why it failed, with what had kept it waiting. */
export function expiredReason(
  message: Pick<Message, 'createdAt' | 'sendAt' | 'expiresAt' | 'reason'>,
): string {
  const { expiresAt, reason } = message
  const since = waitsSince(message)
  const seconds = Math.round(((expiresAt ?? since) - since) / 1000)
  return `expired: not handed over within ${seconds} seconds${reason === null ? '' : ` (${reason})`}`
}

export const DEVICE_DELETED = 'the device was deleted'

/** @param device as it is now: it may have been linked again. Null: it is gone */
export function isDiscarded(
  { seq }: Pick<Message, 'seq'>,
  device: Pick<Device, 'removedAt' | 'discardedThrough'> | null,
): boolean {
  return device === null || device.removedAt !== null || seq <= (device.discardedThrough ?? 0)
}
