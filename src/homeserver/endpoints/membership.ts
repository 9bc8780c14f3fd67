/** Joining, inviting, leaving, kicking and banning. */
import { z } from 'zod'
import { enclosed, type Pieces, streamed } from '../../lib/json-answer.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { askAppservice, isReachable } from '../appservices.ts'
import { readBody } from '../body.ts'
import { type Call, param } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, invalidParam, MatrixError, notFound } from '../errors.ts'
import type { Membership } from '../events.ts'
import { assertUserId, serverOf } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import { profileContent } from '../profiles.ts'
import { speaksInStored } from '../puppets.ts'

const QUERY_TIMEOUT_MS = 10_000
const INTRODUCED_AT_ONCE = 10
const ROOMS_PAGE = 500

/** A membership's content, with the user's profile. */
export function memberContent(core: Core, userId: string, membership: Membership): JsonObject {
  return { membership, ...profileContent(core.users.profile(userId)) }
}

/**
 * Lets appservices register their users that don't exist yet. The caller goes on in any case.
 * @see https://spec.matrix.org/v1.12/application-service-api/#querying
 */
export async function introduceUsers(core: Core, userIds: readonly string[]): Promise<void> {
  const unknown = [...new Set(userIds)].filter(userId => serverOf(userId) === core.serverName).values()
  const turn = new TurnBudget()
  async function introduceNext(): Promise<void> {
    for (const userId of unknown) {
      await introduceUser(core, userId)
      if (turn.isSpent) await turn.pause()
    }
  }
  await Promise.all(Array.from({ length: INTRODUCED_AT_ONCE }, introduceNext))
}

async function introduceUser(core: Core, userId: string): Promise<void> {
  if (core.userExists(userId)) return
  for (const num of core.appservices.numsOfUser(userId))
    await queryAppservice(core, num, `/_matrix/app/v1/users/${encodeURIComponent(userId)}`)
}

/** @returns true when the appservice has what was asked for */
async function queryAppservice(core: Core, num: number, path: string): Promise<boolean> {
  const delivery = core.appservices.get(num)?.delivery
  if (!isReachable(delivery)) return false
  const signal = AbortSignal.any([core.stopping.signal, AbortSignal.timeout(QUERY_TIMEOUT_MS)])
  try {
    const response = await askAppservice(delivery, 'GET', path, undefined, signal)
    await response.body?.cancel()
    return response.ok
  } catch (error) {
    core.logger.debug({ error, path }, 'asking an application service failed')
    return false
  }
}

export const reasonBody = z.object({ reason: z.string().optional() })
const targetBody = z.object({ user_id: z.string(), reason: z.string().optional() })

interface Change {
  roomId: string
  target: string
  membership: Membership
  reason: string | undefined
}

async function change(
  { core, requester }: Call,
  { roomId, target, membership, reason }: Change,
): Promise<void> {
  await core.commit(tx => {
    const room = tx.takeRoom(roomId)
    const content: JsonObject = memberContent(core, target, membership)
    if (reason !== undefined) content.reason = reason
    if (membership === 'leave' || membership === 'ban') {
      delete content.displayname
      delete content.avatar_url
    }
    tx.setState(room, { type: 'm.room.member', sender: requester.userId, stateKey: target, content })
    if (membership !== 'leave' && membership !== 'ban') core.users.remember(target, room.num)
  })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidjoin */
export async function join(call: Call): Promise<JsonObject> {
  const { reason } = await readBody(call.request, reasonBody)
  const roomId = await resolveRoom(call.core, call.params.roomIdOrAlias ?? param(call, 'roomId'))
  const target = call.requester.userId
  await change(call, { roomId, target, membership: 'join', reason })
  return { room_id: roomId }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3knockroomidoralias */
export async function knock(call: Call): Promise<JsonObject> {
  const { reason } = await readBody(call.request, reasonBody)
  const roomId = await resolveRoom(call.core, param(call, 'roomIdOrAlias'))
  const target = call.requester.userId
  await change(call, { roomId, target, membership: 'knock', reason })
  return { room_id: roomId }
}

/** Room id for an id or alias; an appservice may create a missing alias. */
async function resolveRoom(core: Core, idOrAlias: string): Promise<string> {
  if (idOrAlias.startsWith('!')) return idOrAlias
  if (!idOrAlias.startsWith('#')) throw invalidParam('Neither a room id nor an alias')
  const known = core.aliases.find(idOrAlias)
  if (known) return known.room_id
  for (const appservice of core.appservices.all())
    if (appservice.namespaces.hasAlias(idOrAlias))
      await queryAppservice(core, appservice.num, `/_matrix/app/v1/rooms/${encodeURIComponent(idOrAlias)}`)
  const made = core.aliases.find(idOrAlias)
  if (!made) throw notFound('Unknown room alias')
  return made.room_id
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidinvite */
export async function invite(call: Call): Promise<JsonObject> {
  const { user_id: target, reason } = await readBody(call.request, targetBody)
  assertUserId(target)
  const roomId = param(call, 'roomId')
  if (call.core.rooms.read(roomId)?.membershipOf(call.requester.userId) !== 'join')
    throw forbidden(`${call.requester.userId} is not in the room`)
  await introduceUsers(call.core, [target])
  await change(call, { roomId, target, membership: 'invite', reason })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidleave */
export async function leave(call: Call): Promise<JsonObject> {
  const { reason } = await readBody(call.request, reasonBody)
  const target = call.requester.userId
  const roomId = param(call, 'roomId')
  const membership = call.core.rooms.read(roomId)?.membershipOf(target)
  if (membership === 'leave') return {}
  await change(call, { roomId, target, membership: 'leave', reason })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidkick */
export async function kick(call: Call): Promise<JsonObject> {
  const { user_id: target, reason } = await readBody(call.request, targetBody)
  const roomId = param(call, 'roomId')
  const membership = call.core.rooms.read(roomId)?.membershipOf(target)
  if (membership !== 'join' && membership !== 'invite' && membership !== 'knock')
    throw forbidden(`${target} is not in the room`)
  await change(call, { roomId, target, membership: 'leave', reason })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidban */
export async function ban(call: Call): Promise<JsonObject> {
  const { user_id: target, reason } = await readBody(call.request, targetBody)
  assertUserId(target)
  const roomId = param(call, 'roomId')
  await change(call, { roomId, target, membership: 'ban', reason })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidunban */
export async function unban(call: Call): Promise<JsonObject> {
  const { user_id: target, reason } = await readBody(call.request, targetBody)
  const roomId = param(call, 'roomId')
  if (call.core.rooms.read(roomId)?.membershipOf(target) !== 'ban')
    throw new MatrixError(403, 'M_FORBIDDEN', `${target} is not banned`)
  await change(call, { roomId, target, membership: 'leave', reason })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidforget */
export async function forget({ core, requester, params }: Call): Promise<JsonObject> {
  const room = core.rooms.read(params.roomId ?? '')
  const membership = room?.membershipOf(requester.userId)
  if (!room || membership === undefined) return {}
  if (membership === 'join' || membership === 'invite' || membership === 'knock')
    throw new MatrixError(400, 'M_UNKNOWN', 'Leave the room before you forget it')
  await core.commit(tx => {
    tx.wrote = true
    core.users.forget(requester.userId, room.num)
  })
  return {}
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3joined_rooms */
export function joinedRooms({ core, requester }: Call): Promise<Response> {
  const turn = new TurnBudget()
  async function* rooms(): Pieces {
    for (let after = 0; ; ) {
      const page = core.events.joinedRooms(requester.userId, after, ROOMS_PAGE)
      for (const { room_id: roomId } of page) {
        if (await speaksInStored(core, requester, roomId)) yield JSON.stringify(roomId)
        if (turn.isSpent) await turn.pause()
      }
      const last = page.at(-1)
      if (!last || page.length < ROOMS_PAGE) return
      after = last.room
      await turn.pause()
    }
  }
  return streamed(enclosed('{"joined_rooms":[', rooms(), ']}'))
}
