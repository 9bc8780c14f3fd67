/** Room aliases. */
import { z } from 'zod'
import { type Call, param, type Requester, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, invalidParam, MatrixError, notFound } from '../errors.ts'
import { serverOf } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import { MAX_ALIASES_OF_ROOM } from '../limits.ts'
import type { RoomState } from '../rooms/room-state.ts'
import { answered } from './nothing-here.ts'

/** Checks the alias, and that no other appservice claims it. */
export function newAlias({ core, appservice }: Requester, alias: string): string {
  const valid = /^#[^:\s\0]+:/.test(alias) && serverOf(alias) === core.serverName && alias.length <= 255
  if (!valid) throw invalidParam(`Not an alias of ${core.serverName}: ${alias.slice(0, 255)}`)
  if (core.appservices.isClaimed('aliases', alias, appservice))
    throw new MatrixError(400, 'M_EXCLUSIVE', 'This alias belongs to an application service')
  return alias
}

/** Binds the alias to the room within a write. */
export function bindAlias(core: Core, room: RoomState, alias: string, creator: string): void {
  if (core.events.aliasesOf(room.num).length >= MAX_ALIASES_OF_ROOM)
    throw invalidParam(`The room has ${MAX_ALIASES_OF_ROOM} aliases, and takes no more`)
  core.events.addAlias(alias, room.num, creator)
  room.forgetInterest()
}

/** @see Matrix v1.12, GET /_matrix/client/v3/directory/room/{roomAlias} */
export function getAlias(call: Call): JsonObject {
  const found = call.core.events.alias(param(call, 'roomAlias'))
  if (!found) throw notFound('Unknown room alias')
  return { room_id: found.room_id, servers: [call.core.serverName] }
}

const body = z.object({ room_id: z.string() })

/** @see Matrix v1.12, PUT /_matrix/client/v3/directory/room/{roomAlias} */
export async function putAlias(call: Call): Promise<undefined> {
  const { core, userId } = call
  const { room_id: roomId } = await readBody(call, body)
  const alias = newAlias(call, param(call, 'roomAlias'))
  await core.rooms.prepare(roomId)
  await core.commit(tx => {
    const room = tx.takeRoom(roomId)
    if (!call.appservice && room.membershipOf(userId) !== 'join') throw forbidden('You are not in this room')
    if (core.events.alias(alias)) throw new MatrixError(409, 'M_UNKNOWN', 'This alias is taken')
    bindAlias(core, room, alias, userId)
  })
}

/** @see Matrix v1.12, DELETE /_matrix/client/v3/directory/room/{roomAlias} */
export async function deleteAlias(call: Call): Promise<undefined> {
  const { appservice, core, userId } = call
  const alias = param(call, 'roomAlias')
  await core.commit(tx => {
    const found = core.events.alias(alias)
    if (!found) throw notFound('Unknown room alias')
    const room = tx.takeRoom(found.room_id)
    const mayRule =
      room.membershipOf(userId) === 'join' &&
      room.power.of(userId) >= room.power.toSend('m.room.canonical_alias', true)
    const owns = appservice?.namespaces.has('aliases', alias) ?? false
    if (found.creator !== userId && !mayRule && !owns) throw forbidden('This alias is not yours')
    core.events.removeAlias(alias)
    room.forgetInterest()
  })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3roomsroomidaliases */
export function roomAliases({ core, userId, params }: Call): JsonObject {
  const room = core.rooms.read(params.roomId ?? '')
  if (room?.membershipOf(userId) !== 'join') throw forbidden('You are not in this room')
  return { aliases: core.events.aliasesOf(room.num) }
}

/** No room is published. @see Matrix v1.12, GET /_matrix/client/v3/publicRooms */
export const publicRooms = answered({ chunk: [], total_room_count_estimate: 0 })

/** @see Matrix v1.12, GET /_matrix/client/v3/directory/list/room/{roomId} */
export const roomVisibility = answered({ visibility: 'private' })

const visibility = z.object({ visibility: z.enum(['public', 'private']).optional() })

/** @see Matrix v1.4, PUT /_matrix/client/v3/directory/list/room/{roomId} */
export async function putRoomVisibility(call: Call): Promise<undefined> {
  const wanted = await readBody(call, visibility)
  if (wanted.visibility !== 'private') throw forbidden('This server publishes no rooms')
}
