/** In which rooms whoever asks may be whom they say they are. */
import type { Requester } from './call.ts'
import type { Core } from './core.ts'
import { parseStored } from './json.ts'

/** False when an appservice speaks for somebody else's user in a room that is none of its own. */
export function speaksIn(core: Core, { userId, appservice, isPuppet }: Requester, roomId: string): boolean {
  if (!isPuppet || !appservice) return true
  const room = core.rooms.read(roomId)
  if (!room) return false
  if (room.hasUserOf(appservice.num)) return true
  if (room.membershipOf(userId) !== 'invite') return false
  const invitation = core.events.currentState(room.num, 'm.room.member', userId)
  return (
    invitation !== undefined &&
    parseStored(invitation.content).membership === 'invite' &&
    appservice.namespaces.hasUser(invitation.sender)
  )
}
