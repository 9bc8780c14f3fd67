/** Display names and avatars. */
import { z } from 'zod'
import { readBody } from '../body.ts'
import { assertOwn, type Call, param } from '../call.ts'
import type { Core } from '../core.ts'
import { notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { Profile } from '../store/users.ts'
import type { Tx } from '../tx.ts'

/** A profile as JSON, also what a user's own membership carries. */
export function profileContent(profile: Profile | undefined): JsonObject {
  const content: JsonObject = {}
  if (profile?.displayname != null) content.displayname = profile.displayname
  if (profile?.avatar_url != null) content.avatar_url = profile.avatar_url
  return content
}

function existing(call: Call): Profile {
  const profile = call.core.users.profile(param(call, 'userId'))
  if (!profile) throw notFound('Unknown user')
  return profile
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3profileuserid */
export function getProfile(call: Call): JsonObject {
  return profileContent(existing(call))
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3profileuseriddisplayname */
export function getDisplayname(call: Call): JsonObject {
  const { displayname } = existing(call)
  return displayname === null ? {} : { displayname }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3profileuseridavatar_url */
export function getAvatar(call: Call): JsonObject {
  const { avatar_url } = existing(call)
  return avatar_url === null ? {} : { avatar_url }
}

const displaynameBody = z.object({ displayname: z.string().max(256).nullish() })
const avatarBody = z.object({ avatar_url: z.string().max(1000).nullish() })

/** @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3profileuseriddisplayname */
export async function putDisplayname(call: Call): Promise<JsonObject> {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  const value = (await readBody(call.request, displaynameBody)).displayname || null
  await call.core.commit(tx => {
    tx.wrote = true
    call.core.users.setDisplayname(userId, value)
    propagate(call.core, tx, userId)
  })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#put_matrixclientv3profileuseridavatar_url */
export async function putAvatar(call: Call): Promise<JsonObject> {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  const value = (await readBody(call.request, avatarBody)).avatar_url || null
  await call.core.commit(tx => {
    tx.wrote = true
    call.core.users.setAvatar(userId, value)
    propagate(call.core, tx, userId)
  })
  return {}
}

/** A changed profile shows in every room the user is in. */
function propagate(core: Core, tx: Tx, userId: string): void {
  const content = { membership: 'join', ...profileContent(core.users.profile(userId)) }
  for (const { room_id: roomId } of core.events.joinedRooms(userId))
    tx.setState(tx.takeRoom(roomId), { type: 'm.room.member', sender: userId, stateKey: userId, content })
}

const searchBody = z.object({
  search_term: z.string(),
  limit: z.number().int().min(0).max(100).optional(),
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3user_directorysearch */
export async function searchUsers({ core, requester, request }: Call): Promise<JsonObject> {
  const { search_term: term, limit = 10 } = await readBody(request, searchBody)
  const found = core.users.search(requester.userId, term, limit + 1)
  const results = found.slice(0, limit).map(row => {
    const result: JsonObject = { user_id: row.user_id }
    if (row.displayname !== null) result.display_name = row.displayname
    if (row.avatar_url !== null) result.avatar_url = row.avatar_url
    return result
  })
  return { limited: found.length > limit, results }
}
