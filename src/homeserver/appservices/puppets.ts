/**
 * An appservice may act as users of others (`Namespaces.puppets`) only in rooms that one of its own
 * users is in, or has invited the puppet to. Other rooms are hidden from it, also in account data
 * (`m.direct`); other global account data isn't shared at all.
 */
import type { Call, Requester } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, notFound } from '../errors.ts'

/** Throws M_FORBIDDEN unless the requester may make this call, as its puppet or as itself. */
export function assertMaySpeak({ core, requester, params }: Call, isRoomless: boolean): void {
  if (!requester.isPuppet) return
  const room = params.roomId ?? params.roomIdOrAlias
  if (room === undefined) {
    if (isRoomless) return
    throw forbidden(`The application service can't do this as ${requester.userId}, who isn't its own user`)
  }
  if (!speaksIn(core, requester, roomIdOf(core, room)))
    throw forbidden(
      `No user of the application service is in the room, so it can't be ${requester.userId} there`,
    )
}

function roomIdOf(core: Core, idOrAlias: string): string {
  if (!idOrAlias.startsWith('#')) return idOrAlias
  const known = core.aliases.find(idOrAlias)
  if (!known) throw notFound('Unknown room alias')
  return known.room_id
}

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
