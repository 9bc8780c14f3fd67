/** SQL of the events that tell clients of statuses, of messages and of acts. */
import { eq, sql } from 'drizzle-orm'
import { identities, type Message, messages } from '../../../db/schema/index.ts'
import { numberParam, textParam } from '../../../db/stable-params.ts'
import { statement } from '../../../db/statement.ts'
import type { Tx } from '../../../db/transaction.ts'
import type { ActionEvent, StatusEvent } from '../../../domain/events.ts'
import type { MessageStatus } from '../../../domain/states.ts'
import { rfc3339 } from '../../../lib/clock.ts'
import { timeOrderedId } from '../../../lib/tokens.ts'
import { writeEvent } from '../../events/event-repository.ts'
import { actionView, isAct } from '../act-repository.ts'
import { passFailureOn } from '../content/caption-repository.ts'
import { type MessageWithDevice, messageView, withDevice } from '../message-repository.ts'

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
          and (events like ${textParam('named')} or events = '["*"]')))`,
    ),
)
const shown = statement(orm => withDevice(orm).where(eq(messages.seq, numberParam('seq'))))

/** Writes the event of a status, after the change, if anybody asks for it. */
export async function announce(
  tx: Tx,
  message: Pick<Message, 'seq' | 'identityId' | 'act'>,
  status: MessageStatus,
  now: number,
): Promise<void> {
  // Clients see a caption's failure as its message's.
  const captioned = status === 'failed' ? await passFailureOn(tx, message.seq) : null
  const { seq, identityId } = captioned ?? message
  const named = message.act === null ? '%"message.status"%' : '%"action.status"%'
  if (!(await tx.get(anyAsking, { identityId, since: now - FEED_REMEMBERED_MS, named }))) return
  const found = await tx.get(shown, { seq })
  // To clients a caption is no message of its own.
  if (found === undefined || found.message.captionOf !== null) return
  const { lane, roomId, deviceRowId } = found.message
  const event = {
    identityId,
    eventId: timeOrderedId('evt_'),
    lane: `status/${lane}`,
    roomId: roomId ?? '',
    deviceRowId,
    senderUserId: '',
    mediaId: null,
    payload: payloadOf(found, now),
  }
  await writeEvent(tx, event, now)
}

function payloadOf(found: MessageWithDevice, now: number): StatusEvent | ActionEvent {
  const { message, platform, deviceId } = found
  const timestamp = rfc3339(now)
  if (!isAct(message)) return { event: 'message.status', timestamp, ...messageView(found, now) }
  return { event: 'action.status', timestamp, platform, device_id: deviceId, ...actionView(message, now) }
}
