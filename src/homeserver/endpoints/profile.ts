/** Profiles: names, avatars, and fields of any kind. */
import { z } from 'zod'
import { pagesOf } from '../../lib/pages.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { type Call, ownUserId, param, readBody, readObject, validate } from '../call.ts'
import { invalidParam, MatrixError, notFound } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { MAX_ID_BYTES } from '../limits.ts'
import { profileFields } from '../profiles.ts'
import type { UserRow } from '../store/users.ts'
import { shareRoom } from '../sync/key-changes.ts'

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3profileuserid */
export function getProfile(call: Call): JsonObject {
  const profile = call.core.users.profile(param(call, 'userId'))
  if (!profile) throw notFound('Unknown user')
  return profileFields(profile)
}

/** Fields that rooms show; absent ones are no error, as before other fields existed. */
const SHOWN = z.object({
  displayname: z.string().max(256).optional(),
  avatar_url: z.string().max(1000).optional(),
})
const isShown = (key: string): key is keyof typeof SHOWN.shape => Object.hasOwn(SHOWN.shape, key)

/** @see https://spec.matrix.org/v1.16/appendices/#common-namespaced-identifier-grammar */
const KEY = /^[a-z][a-z0-9_.-]*$/

function assertKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_ID_BYTES)
    throw new MatrixError(400, 'M_KEY_TOO_LARGE', `A field's name takes at most ${MAX_ID_BYTES} bytes`)
  if (!KEY.test(key)) throw invalidParam("A field's name is made of a-z, 0-9, _, - and ., a letter first")
}

function fieldKey(call: Call): string {
  const key = param(call, 'keyName')
  assertKey(key)
  return key
}

/** A field may be called as what every object has, such as `constructor`. */
const ownValue = (fields: JsonObject, key: string) => (Object.hasOwn(fields, key) ? fields[key] : undefined)

/** @see https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3profileuseridkeyname */
export function getField(call: Call): JsonObject {
  const key = fieldKey(call)
  const value = ownValue(getProfile(call), key)
  if (value !== undefined) return { [key]: value }
  if (isShown(key)) return {}
  throw notFound('The profile has no such field')
}

/** @see https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3profileuseridkeyname */
export async function putField(call: Call): Promise<undefined> {
  const userId = ownUserId(call)
  const key = fieldKey(call)
  const body = await readObject(call)
  const value = isShown(key) ? validate(SHOWN, body)[key] || undefined : ownValue(body, key)
  if (value === undefined && !isShown(key))
    throw new MatrixError(400, 'M_MISSING_PARAM', `Missing field: ${key}`)
  await call.core.profiles.change(userId, { [key]: value })
}

/** @see Matrix v1.16, DELETE /_matrix/client/v3/profile/{userId}/{keyName} */
export async function deleteField(call: Call): Promise<undefined> {
  await call.core.profiles.change(ownUserId(call), { [fieldKey(call)]: undefined })
}

/**
 * Changes several fields at once; null removes one. An extension that bridges use
 * (mautrix-go, BeeperUpdateProfile).
 */
export async function patchProfile(call: Call): Promise<undefined> {
  const userId = ownUserId(call)
  const fields = await readObject(call)
  for (const key of Object.keys(fields)) assertKey(key)
  const kept = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
  validate(SHOWN, kept)
  const changes = Object.keys(fields).map(key => [key, ownValue(kept, key)] as const)
  await call.core.profiles.change(userId, Object.fromEntries(changes))
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
