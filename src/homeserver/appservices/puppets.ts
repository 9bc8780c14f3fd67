/**
 * An appservice may act as users of others (`Namespaces.puppets`) only in rooms that one of its own
 * users is in, or has invited the puppet to. Other rooms are hidden from it, also in account data
 * (`m.direct`); other global account data isn't shared at all.
 */
import type { Call, Requester } from '../call.ts'
import { forbidden, notFound } from '../errors.ts'

/** Throws M_FORBIDDEN unless the requester may make this call, as its puppet or as itself. */
export function assertMaySpeak(call: Call, isRoomless: boolean): void {
  const { core, isPuppet, params, userId } = call
  if (!isPuppet) return
  const named = params.roomId ?? params.roomIdOrAlias
  if (named === undefined) {
    if (isRoomless) return
    throw forbidden(`The application service can't do this as ${userId}, who isn't its own user`)
  }
  const roomId = core.roomIdOf(named)
  if (roomId === undefined) throw notFound('Unknown room alias')
  if (!speaksIn(call, roomId))
    throw forbidden(`No user of the application service is in the room, so it can't be ${userId} there`)
}

/** Like `speaksIn`, for a room that may not be in memory. */
export async function speaksInStored(requester: Requester, roomId: string): Promise<boolean> {
  if (requester.isPuppet) await requester.core.rooms.prepare(roomId)
  return speaksIn(requester, roomId)
}

/** False when an appservice acts as somebody else's user in a room without its own users. */
export function speaksIn({ core, userId, appservice, isPuppet }: Requester, roomId: string): boolean {
  if (!isPuppet || !appservice) return true
  const room = core.rooms.read(roomId)
  if (!room) return false
  if (room.hasUserOf(appservice.num)) return true
  if (room.membershipOf(userId) !== 'invite') return false
  const invitation = core.events.currentState(room.num, 'm.room.member', userId)
  return invitation !== undefined && appservice.namespaces.has('users', invitation.sender)
}
