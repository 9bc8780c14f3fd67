/** Account data, tags, filters and push rules: data that a user's clients keep on the server. */

import { DIRECT_TYPE, putDirect, sharesType, shownDirect } from '../appservices/direct-rooms.ts'
import { type Call, ownUserId, param, readObject, validate } from '../call.ts'
import { badJson, forbidden, notFound, tooLarge } from '../errors.ts'
import { isObject, type JsonObject, parseStored } from '../json.ts'
import { assertId, boundedText, MAX_EVENT_BYTES } from '../limits.ts'
import { filterSchema } from '../sync/filter.ts'
import { PUSH_RULES, PUSH_RULES_TYPE } from './push-rules.ts'

/** Types kept by other endpoints. */
const SERVER_MANAGED = ['m.fully_read', 'm.push_rules']
const GLOBAL = 0

function roomNumber(call: Call): number {
  const { roomId } = call.params
  if (roomId === undefined) return GLOBAL
  const room = call.core.rooms.read(roomId)
  if (room?.membershipOf(call.userId) === undefined) throw forbidden('You are not in this room')
  return room.num
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/user/{userId}/account_data/{type} */
export async function putAccountData(call: Call): Promise<undefined> {
  const userId = ownUserId(call)
  const type = param(call, 'type')
  if (SERVER_MANAGED.includes(type)) throw badJson(`${type} can't be set through account data`)
  assertId('type', type)
  const room = roomNumber(call)
  if (room === GLOBAL && !sharesType(call, type))
    throw forbidden(`The application service can't set ${type} of ${userId}, who isn't its own user`)
  const content = await readObject(call)
  if (room === GLOBAL && type === DIRECT_TYPE) await putDirect(call, content)
  else await call.core.commit(tx => tx.putAccountData(userId, room, type, content))
}

/** @see Matrix v1.12, GET /_matrix/client/v3/user/{userId}/account_data/{type} */
export async function getAccountData(call: Call): Promise<JsonObject> {
  const userId = ownUserId(call)
  const type = param(call, 'type')
  const room = roomNumber(call)
  const isHidden = room === GLOBAL && !sharesType(call, type)
  const content = isHidden ? undefined : call.core.users.accountData(userId, room, type)
  if (content === undefined && room === GLOBAL && type === PUSH_RULES_TYPE) return PUSH_RULES
  if (content === undefined) throw notFound('No such account data')
  const stored = parseStored(content)
  return room === GLOBAL && type === DIRECT_TYPE ? shownDirect(call, stored) : stored
}

function storedTags(call: Call, userId: string, room: number): JsonObject {
  const content = call.core.users.accountData(userId, room, 'm.tag')
  const tags = content === undefined ? {} : parseStored(content).tags
  return isObject(tags) ? tags : {}
}

/** @see Matrix v1.12, GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags */
export function getTags(call: Call): JsonObject {
  const userId = ownUserId(call)
  return { tags: storedTags(call, userId, roomNumber(call)) }
}

/** @see Matrix v1.12, PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} */
export async function putTag(call: Call): Promise<undefined> {
  const content = await readObject(call)
  return changeTags(call, tags => ({ ...tags, [param(call, 'tag')]: content }))
}

/** @see Matrix v1.12, DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} */
export async function deleteTag(call: Call): Promise<undefined> {
  return changeTags(call, ({ [param(call, 'tag')]: _removed, ...rest }) => rest)
}

async function changeTags(call: Call, change: (tags: JsonObject) => JsonObject): Promise<undefined> {
  const userId = ownUserId(call)
  const room = roomNumber(call)
  await call.core.commit(tx => {
    const content = { tags: change(storedTags(call, userId, room)) }
    if (JSON.stringify(content).length > MAX_EVENT_BYTES) throw tooLarge('The room has too many tags')
    tx.putAccountData(userId, room, 'm.tag', content)
  })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3useruseridfilter */
export async function postFilter(call: Call): Promise<JsonObject> {
  const userId = ownUserId(call)
  const filter = await readObject(call)
  validate(filterSchema, filter)
  const text = boundedText('A filter', filter)
  const id = await call.core.commit(() => call.core.users.putFilter(userId, text))
  return { filter_id: String(id) }
}

/** @see Matrix v1.12, GET /_matrix/client/v3/user/{userId}/filter/{filterId} */
export function getFilter(call: Call): JsonObject {
  const userId = ownUserId(call)
  const text = call.core.users.filter(Number(param(call, 'filterId')), userId)
  if (text === undefined) throw notFound('Unknown filter')
  return parseStored(text)
}
