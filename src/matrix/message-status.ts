/** What became of a message that we sent, as its bridge reports it in com.beeper.message_send_status. */
import { z } from 'zod'
import type { RoomEvent } from '../domain/ports.ts'
import type { MessageStatus } from '../domain/states.ts'

export const STATUS_EVENT_TYPE = 'com.beeper.message_send_status'

const statusContent = z.object({
  'm.relates_to': z.object({ event_id: z.string() }),
  status: z.enum(['SUCCESS', 'PENDING', 'FAIL_RETRIABLE', 'FAIL_PERMANENT']),
  reason: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  error: z.string().optional().catch(undefined),
  delivered_to_users: z.array(z.string()).nullish().catch(null),
})

/** @returns null when the event isn't a status, or one that changes nothing yet */
export function messageStatusOf(
  event: RoomEvent,
): { eventId: string; status: MessageStatus; reason: string | null } | null {
  if (event.type !== STATUS_EVENT_TYPE) return null
  const content = statusContent.safeParse(event.content)
  if (!content.success || content.data.status === 'PENDING') return null
  const { status, reason, message, error, delivered_to_users: deliveredTo } = content.data
  const eventId = content.data['m.relates_to'].event_id
  if (status === 'SUCCESS') {
    // The network took it; with a list of users, their phones have it.
    return { eventId, status: deliveredTo?.length ? 'delivered' : 'sent', reason: null }
  }
  const why = message || error || reason || status
  // The network didn't take it and may take it later: it is to be sent again.
  return { eventId, status: status === 'FAIL_RETRIABLE' ? 'queued' : 'failed', reason: why }
}
