/** Reads what was said in a room before we were in it. */
import type { SaidFact } from '../domain/facts.ts'
import type { MatrixSession, RoomEvent } from '../domain/ports.ts'
import { saidIn } from './translate/facts.ts'

const PAGE_EVENTS = 100
/** An invitation is a few events back; what is older is history a bridge filled in. */
const MAX_PAGES = 10

/** @returns what was said in the room since our invitation, oldest first */
export async function saidSinceInvitation(session: MatrixSession, roomId: string): Promise<SaidFact[]> {
  const newestFirst: RoomEvent[] = []
  let from: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { events, next } = await session.messagesBackwards(roomId, PAGE_EVENTS, from)
    const invitation = events.findIndex(event => isInvitationOf(event, session.userId))
    newestFirst.push(...(invitation === -1 ? events : events.slice(0, invitation)))
    if (invitation !== -1 || next === null || events.length === 0) break
    from = next
  }
  return saidIn(newestFirst.reverse())
}

function isInvitationOf(event: RoomEvent, userId: string): boolean {
  return event.type === 'm.room.member' && event.state_key === userId && event.content.membership === 'invite'
}
