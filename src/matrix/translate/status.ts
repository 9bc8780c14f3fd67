/** Reads a bridge's report about a message that we sent (com.beeper.message_send_status). */
import { z } from 'zod'
import type { StatusFact } from '../../domain/facts.ts'
import type { RoomEvent } from '../../domain/ports.ts'

export const STATUS_EVENT_TYPE = 'com.beeper.message_send_status'

/** https://github.com/mautrix/go, event.BeeperMessageStatusEventContent */
const statusContent = z.object({
  'm.relates_to': z.object({ event_id: z.string() }),
  status: z.enum(['SUCCESS', 'PENDING', 'FAIL_RETRIABLE', 'FAIL_PERMANENT']),
  reason: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  error: z.string().optional().catch(undefined),
  internal_error: z.string().optional().catch(undefined),
  delivered_to_users: z.array(z.string()).nullish().catch(null),
})
type StatusContent = z.infer<typeof statusContent>

/** For a bridge that says no more than a code. */
const PLAIN_REASONS: Record<string, string> = {
  'm.event_not_handled': "the bridge couldn't handle it",
  'm.foreign_network_error': 'the network refused it',
  'm.no_permission': 'the device may not write there',
  'm.bridge_unavailable': 'the bridge has no connection to the network',
  'm.event_too_old': 'the network did not confirm it in time',
  'com.beeper.unsupported_event': 'the bridge does not support it',
  'com.beeper.undecryptable_event': "the bridge couldn't decrypt it",
}

/** @returns null when the event isn't a status, or one that changes nothing yet */
export function statusOf(event: RoomEvent): StatusFact | null {
  if (event.type !== STATUS_EVENT_TYPE) return null
  const content = statusContent.safeParse(event.content)
  if (!content.success || content.data.status === 'PENDING') return null
  const eventId = content.data['m.relates_to'].event_id
  return { fact: 'status', eventId, sender: event.sender, ...outcomeOf(content.data) }
}

function outcomeOf(content: StatusContent): Pick<StatusFact, 'status' | 'reason'> {
  const { status, reason: code, delivered_to_users: deliveredTo } = content
  // The network took it; with a list of users, their phones have it.
  if (status === 'SUCCESS') return { status: deliveredTo?.length ? 'delivered' : 'sent', reason: null }
  const reason = reasonOf(content)
  // bridgev2 calls every failure retriable that a connector doesn't call permanent. A bridge won't
  // support later what it doesn't support now, and an unconfirmed message may have arrived: nobody
  // wants it twice.
  if (status === 'FAIL_RETRIABLE' && code === 'm.event_too_old') return { status: 'sent', reason }
  const mayPass = status === 'FAIL_RETRIABLE' && code !== 'com.beeper.unsupported_event'
  return { status: mayPass ? 'queued' : 'failed', reason }
}

/** The words for people, and the code. */
function reasonOf({ reason: code, message, error, internal_error: internal }: StatusContent): string {
  const words = message || error || internal || (code && PLAIN_REASONS[code])
  return words && code ? `${words} (${code})` : words || code || 'the bridge gave no reason'
}
