/**
 * An appservice may act as users of others (`Namespaces.puppets`) only in rooms that one of its own
 * users is in, or has invited the puppet to. Other rooms are hidden from it, also in account data
 * (`m.direct`); other global account data isn't shared at all.
 */
import type { Call, Handler, Requester } from './call.ts'
import type { Core } from './core.ts'
import { capabilities, whoami } from './endpoints/account.ts'
import { getAccountData, getFilter, postFilter, putAccountData } from './endpoints/account-data.ts'
import { getAlias, publicRooms } from './endpoints/directory.ts'
import { createMedia, download, mediaConfig, upload, uploadReserved } from './endpoints/media.ts'
import { joinedRooms } from './endpoints/membership.ts'
import { getPresence, putPresence } from './endpoints/presence.ts'
import { getAvatar, getDisplayname, getProfile } from './endpoints/profile.ts'
import { getPushRules } from './endpoints/push-rules.ts'
import { sync } from './endpoints/sync.ts'
import { forbidden, notFound } from './errors.ts'
import { speaksIn } from './speaking.ts'

/** Calls that neither name nor reveal a room. */
const OF_NO_ROOM: ReadonlySet<Handler> = new Set<Handler>([
  capabilities,
  createMedia,
  download,
  getAccountData,
  getAlias,
  getAvatar,
  getDisplayname,
  getFilter,
  getPresence,
  getProfile,
  getPushRules,
  joinedRooms,
  mediaConfig,
  postFilter,
  publicRooms,
  putAccountData,
  putPresence,
  sync,
  upload,
  uploadReserved,
  whoami,
])

/** Throws M_FORBIDDEN unless the appservice may make this call as its puppet. */
export function assertMaySpeak({ core, requester, params }: Call, handler: Handler): void {
  if (!requester.isPuppet) return
  const room = params.roomId ?? params.roomIdOrAlias
  if (room !== undefined) assertSpeaksIn(core, requester, roomIdOf(core, room))
  else if (!OF_NO_ROOM.has(handler))
    throw forbidden(`The application service can't do this as ${requester.userId}, who isn't its own user`)
}

function roomIdOf(core: Core, idOrAlias: string): string {
  if (!idOrAlias.startsWith('#')) return idOrAlias
  const known = core.aliases.find(idOrAlias)
  if (!known) throw notFound('Unknown room alias')
  return known.room_id
}

function assertSpeaksIn(core: Core, requester: Requester, roomId: string): void {
  if (!speaksIn(core, requester, roomId))
    throw forbidden(
      `No user of the application service is in the room, so it can't be ${requester.userId} there`,
    )
}
