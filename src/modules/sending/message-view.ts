/** A message as the API shows it, and the event that tells of its new status. */
import type { Message } from '../../db/schema/index.ts'
import type { StatusEvent } from '../../domain/events.ts'
import type { MessageStatus, ShownMessageStatus } from '../../domain/states.ts'
import type { MessageView } from '../../domain/views/message.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import type { NewEvent } from '../events/event-repository.ts'

/** What is shown of a message, and what its device is called. */
export type ShownMessage = Pick<
  Message,
  'id' | 'recipient' | 'status' | 'reason' | 'eventId' | 'expiresAt' | 'createdAt'
> & { platform: string; deviceId: string }

/** All but when it is due, which only those who ask are told. */
export function messageView(message: ShownMessage, updatedAt: number): Omit<MessageView, 'due_at'> {
  return {
    id: message.id,
    platform: message.platform,
    device_id: message.deviceId,
    to: message.recipient,
    status: shownStatus(message.status),
    reason: message.reason,
    event_id: message.eventId,
    expires_at: message.expiresAt === null ? null : rfc3339(message.expiresAt),
    created_at: rfc3339(message.createdAt),
    updated_at: rfc3339(updatedAt),
  }
}

export function statusEvent(
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

/** That the homeserver has it is of no use to a client: until the bridge says something, it is being sent. */
function shownStatus(status: MessageStatus): ShownMessageStatus {
  return status === 'submitted' ? 'sending' : status
}
