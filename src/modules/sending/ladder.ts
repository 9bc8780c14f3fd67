/** The ladder that a message's status climbs: which word counts after which. */
import { MESSAGE_STATUSES, type MessageStatus } from '../../domain/states.ts'

export function rung(status: MessageStatus): number {
  return MESSAGE_STATUSES.indexOf(status)
}

/** A status only goes up the ladder; a failure ends it, unless the message has arrived. */
export function climbs(from: MessageStatus, to: MessageStatus): boolean {
  if (from === 'failed' || from === 'cancelled') return false
  if (to === 'failed') return from !== 'delivered' && from !== 'read'
  return rung(to) > rung(from)
}
