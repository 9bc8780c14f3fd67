/** Display names and avatars. */
import { z } from 'zod'
import { pagesOf } from '../../lib/pages.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { type Call, ownUserId, param, readBody } from '../call.ts'
import { notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { MAX_ID_BYTES } from '../limits.ts'
import { profileContent } from '../profiles.ts'
import type { Profile, UserRow } from '../store/users.ts'
import { shareRoom } from '../sync/key-changes.ts'

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
export const getField = (field: keyof Profile) => (call: Call) => {
  const value = existing(call)[field]
  return value === null ? {} : { [field]: value }
}

const text = (max: number) => z.string().max(max).optional()
const fieldBody = {
  displayname: z.object({ displayname: text(256) }),
  avatar_url: z.object({ avatar_url: text(1000) }),
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/profile/{userId}/displayname */
export const putField =
  (field: keyof Profile) =>
  async (call: Call): Promise<undefined> => {
    const userId = ownUserId(call)
    const body = await readBody<{ [name in keyof Profile]?: string | undefined }>(call, fieldBody[field])
    await call.core.profiles.change(userId, field, body[field] || null)
  }

const searchBody = z.object({
  search_term: z.string().max(MAX_ID_BYTES),
  limit: z.number().int().min(0).max(100).optional(),
})
const USERS_PAGE = 500

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3user_directorysearch */
export async function searchUsers(call: Call): Promise<JsonObject> {
  const { search_term: term, limit = 10 } = await readBody(call, searchBody)
  const results: JsonObject[] = []
  for await (const row of visibleUsers(call, term.toLowerCase())) {
    if (results.length === limit) return { limited: true, results }
    const result: JsonObject = { user_id: row.user_id }
    if (row.displayname !== null) result.display_name = row.displayname
    if (row.avatar_url !== null) result.avatar_url = row.avatar_url
    results.push(result)
  }
  return { limited: false, results }
}

/** Users whose id or name contains the term: those sharing a room with `userId`, and `userId`. */
async function* visibleUsers({ core, userId, request }: Call, term: string) {
  const turn = new TurnBudget()
  const users = { read: core.users.page, placeOf: (row: UserRow) => row.user_id, start: '', size: USERS_PAGE }
  for await (const page of pagesOf(users, turn)) {
    if (request.signal.aborted) return
    for (const row of page) {
      const isMatch =
        row.user_id.toLowerCase().includes(term) || row.displayname?.toLowerCase().includes(term)
      if (isMatch && (row.user_id === userId || (await shareRoom(core, userId, row.user_id, turn)))) yield row
    }
  }
}
