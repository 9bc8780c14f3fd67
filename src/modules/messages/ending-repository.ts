/**
 * SQL of messages that neither a try nor a report decides on: one is taken back, has waited too long, or its bridge says nothing of it.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Message, media, messages } from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import type { Observer } from '../../domain/observation.ts'
import { expiredReason } from './expired.ts'
import { findMessage, type MessageWithDevice } from './repository.ts'
import type { StatusWriter } from './status-repository.ts'

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
  /** Takes as sent what was handed over before `before` and what nobody has said anything about. @returns how many, at most `limit` */
  settleSilent(before: number, limit: number, now: number): Promise<{ count: number; deliveries: boolean }>
}

export function createMessageEndings(
  db: Db,
  statuses: Pick<StatusWriter, 'ended' | 'stayedSilent'>,
  observer?: Pick<Observer, 'messageSettled'>,
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

  /** Inside a transaction. @returns the file, if it has one that may go now */
  function releaseFile(mediaId: string | null): string[] {
    if (mediaId === null || stillNeeded.get({ mediaId })) return []
    orm.delete(media).where(eq(media.id, mediaId)).run()
    return [mediaId]
  }

  /** No try tells of it. */
  function noteEnded(message: Message, status: 'failed' | 'cancelled', now: number): void {
    const { id, deviceRowId, createdAt } = message
    const outcome = { messageId: id, deviceRowId, status, ageMs: now - createdAt }
    committer.afterCommit(() => observer?.messageSettled(outcome))
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
        const ended: Ended = { deliveries: false, unneeded: [] }
        const found = expired.all({ now, limit })
        for (const message of found) {
          ended.deliveries =
            statuses.ended(message, 'failed', expiredReason(message), now) || ended.deliveries
          noteEnded(message, 'failed', now)
          ended.unneeded.push(...releaseFile(message.mediaId))
        }
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
