/** SQL of the events that tell webhooks and readers of the feed of a message's new status. */
import { eq, sql } from 'drizzle-orm'
import { devices, identities, type Message, messages } from '../../db/schema/index.ts'
import { numberParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { StatusEvent } from '../../domain/events.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { type NewEvent, writeEvent } from '../events/event-repository.ts'
import { messageView, type ShownMessage } from './message-repository.ts'

/** Statuses are kept for a reader of the feed until they have been away for so long. */
const FEED_REMEMBERED_MS = 30 * 24 * 3_600_000

const param = sql.placeholder

// Few webhooks ask for statuses, and few read the feed; for all others nothing more is read or
// written. One that is switched off asks as well: events from meanwhile are replayed to it.
const anyAsking = statement(orm =>
  orm
    .select({ id: identities.id })
    .from(identities)
    .where(
      sql`${identities.id} = ${param('identityId')} and (${identities.feedReadAt} > ${param('since')}
        or exists (select 1 from webhooks where identity_id = ${identities.id}
          and (events like '%"message.status"%' or events = '["*"]')))`,
    ),
)
const shown = statement(orm =>
  orm
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
    .where(eq(messages.seq, numberParam('seq'))),
)

/** Writes the event that tells of a message's status, after the change. */
export async function tellStatus(
  tx: Tx,
  { seq, identityId }: Pick<Message, 'seq' | 'identityId'>,
  now: number,
): Promise<void> {
  if (!(await tx.get(anyAsking, { identityId, since: now - FEED_REMEMBERED_MS }))) return
  const message = await tx.get(shown, { seq })
  // To clients a caption is no message of its own.
  if (message === undefined || message.captionOf !== null) return
  await writeEvent(tx, statusEvent(message, now), now)
}

function statusEvent(
  message: ShownMessage & Pick<Message, 'identityId' | 'lane' | 'deviceRowId' | 'roomId'>,
  now: number,
): NewEvent {
  const payload: StatusEvent = {
    event: 'message.status',
    timestamp: rfc3339(now),
    ...messageView(message, now),
  }
  return {
    identityId: message.identityId,
    eventId: timeOrderedId('evt_'),
    lane: `status/${message.lane}`,
    roomId: message.roomId ?? '',
    deviceRowId: message.deviceRowId,
    senderUserId: '',
    mediaId: null,
    payload,
  }
}
