/** SQL that tells of a message's new status: to the webhooks that ask, and to the readers of the feed. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { devices, identities, type Message, messages } from '../../db/schema/index.ts'
import { numberParam } from '../../db/stable-params.ts'
import { createEventWriter } from '../events/repository.ts'
import { statusEvent } from './message-view.ts'

/** To be called inside a transaction, after the change. @returns whether there is something to deliver */
export type StatusTeller = (message: Pick<Message, 'seq' | 'identityId'>, now: number) => boolean

/** Somebody who read the feed so long ago isn't expected back: as long, statuses are kept for them. */
const FEED_REMEMBERED_MS = 30 * 24 * 3_600_000

export function createStatusTeller({ orm }: Pick<Db, 'orm'>): StatusTeller {
  const param = sql.placeholder
  const events = createEventWriter({ orm })
  // Few webhooks ask for statuses, and few read the feed; for all others nothing more is read or written. One that is switched off asks as well:
  // what happened meanwhile is replayed to it.
  const anyAsking = orm
    .select({ id: identities.id })
    .from(identities)
    .where(
      sql`${identities.id} = ${param('identityId')} and (${identities.feedReadAt} > ${param('since')}
        or exists (select 1 from webhooks where identity_id = ${identities.id}
          and (events like '%"message.status"%' or events = '["*"]')))`,
    )
    .prepare()
  const shown = orm
    .select({
      identityId: messages.identityId,
      lane: messages.lane,
      deviceRowId: messages.deviceRowId,
      roomId: messages.roomId,
      id: messages.id,
      recipient: messages.recipient,
      status: messages.status,
      reason: messages.reason,
      eventId: messages.eventId,
      expiresAt: messages.expiresAt,
      createdAt: messages.createdAt,
      captionOf: messages.captionOf,
      platform: devices.platform,
      deviceId: devices.deviceId,
    })
    .from(messages)
    .innerJoin(devices, eq(devices.id, messages.deviceRowId))
    .where(eq(messages.seq, numberParam('seq')))
    .prepare()

  return ({ seq, identityId }, now) => {
    if (!anyAsking.get({ identityId, since: now - FEED_REMEMBERED_MS })) return false
    const message = shown.get({ seq })
    // To clients a caption is no message of its own.
    if (message === undefined || message.captionOf !== null) return false
    return events.write(statusEvent(message, now), now)?.deliveries ?? false
  }
}
