/** Decides in which rooms a requester may act as its user. */
import type { Requester } from './call.ts'
import type { Core } from './core.ts'

/** Like `speaksIn`, for a room that may not be in memory. */
export async function speaksInStored(core: Core, requester: Requester, roomId: string): Promise<boolean> {
  if (requester.isPuppet) await core.rooms.prepare(roomId)
  return speaksIn(core, requester, roomId)
}

/** False when an appservice acts as somebody else's user in a room without its own users. */
export function speaksIn(core: Core, { userId, appservice, isPuppet }: Requester, roomId: string): boolean {
  if (!isPuppet || !appservice) return true
  const room = core.rooms.read(roomId)
  if (!room) return false
  if (room.hasUserOf(appservice.num)) return true
  if (room.membershipOf(userId) !== 'invite') return false
  const invitation = core.events.currentState(room.num, 'm.room.member', userId)
  return invitation !== undefined && appservice.namespaces.hasUser(invitation.sender)
}
