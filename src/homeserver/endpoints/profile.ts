/** Display names and avatars. */
import { z } from 'zod'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { readBody } from '../body.ts'
import { assertOwn, type Call, param } from '../call.ts'
import type { Core } from '../core.ts'
import { notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { shareRoom } from '../key-changes.ts'
import { MAX_ID_BYTES } from '../limits.ts'
import { profileContent } from '../profiles.ts'
import type { Profile } from '../store/users.ts'

function existing(call: Call): Profile {
  const profile = call.core.users.profile(param(call, 'userId'))
  if (!profile) throw notFound('Unknown user')
  return profile
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3profileuserid */
export function getProfile(call: Call): JsonObject {
  return profileContent(existing(call))
}

/** @see Matrix v1.12, GET /_matrix/client/v3/profile/{userId}/displayname */
export function getDisplayname(call: Call): JsonObject {
  const { displayname } = existing(call)
  return displayname === null ? {} : { displayname }
}

/** @see Matrix v1.12, GET /_matrix/client/v3/profile/{userId}/avatar_url */
export function getAvatar(call: Call): JsonObject {
  const { avatar_url } = existing(call)
  return avatar_url === null ? {} : { avatar_url }
}

const displaynameBody = z.object({ displayname: z.string().max(256).optional() })
const avatarBody = z.object({ avatar_url: z.string().max(1000).optional() })

/** @see Matrix v1.12, PUT /_matrix/client/v3/profile/{userId}/displayname */
export async function putDisplayname(call: Call): Promise<JsonObject> {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  const value = (await readBody(call.request, displaynameBody)).displayname || null
  await call.core.profiles.change(userId, 'displayname', value)
  return {}
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/profile/{userId}/avatar_url */
export async function putAvatar(call: Call): Promise<JsonObject> {
  const userId = param(call, 'userId')
  assertOwn(call, userId)
  const value = (await readBody(call.request, avatarBody)).avatar_url || null
  await call.core.profiles.change(userId, 'avatar_url', value)
  return {}
}

const searchBody = z.object({
  search_term: z.string().max(MAX_ID_BYTES),
  limit: z.number().int().min(0).max(100).optional(),
})
const USERS_PAGE = 500

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3user_directorysearch */
export async function searchUsers({ core, requester, request }: Call): Promise<JsonObject> {
  const { search_term: term, limit = 10 } = await readBody(request, searchBody)
  const results: JsonObject[] = []
  for await (const row of visibleUsers(core, requester.userId, term.toLowerCase(), request.signal)) {
    if (results.length === limit) return { limited: true, results }
    const result: JsonObject = { user_id: row.user_id }
    if (row.displayname !== null) result.display_name = row.displayname
    if (row.avatar_url !== null) result.avatar_url = row.avatar_url
    results.push(result)
  }
  return { limited: false, results }
}

/** Users whose id or name contains the term: those sharing a room with `userId`, and `userId`. */
async function* visibleUsers(core: Core, userId: string, term: string, signal: AbortSignal) {
  const turn = new TurnBudget()
  for (let after = ''; !signal.aborted; ) {
    const page = core.users.page(after, USERS_PAGE)
    for (const row of page) {
      const isMatch =
        row.user_id.toLowerCase().includes(term) || row.displayname?.toLowerCase().includes(term)
      if (isMatch && (row.user_id === userId || (await shareRoom(core, userId, row.user_id, turn)))) yield row
    }
    const last = page.at(-1)
    if (!last || page.length < USERS_PAGE) return
    after = last.user_id
    await turn.pause()
  }
}
