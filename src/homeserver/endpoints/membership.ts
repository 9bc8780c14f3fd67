/** Joining, inviting, leaving, kicking and banning. */
import { z } from 'zod'
import { enclosed, type Pieces } from '../../lib/json-answer.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { askAppservice, isReachable } from '../appservices/appservices.ts'
import { speaksInStored } from '../appservices/puppets.ts'
import { type Call, param, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, invalidParam, MatrixError, notFound } from '../errors.ts'
import { assertUserId, serverOf } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import { profileContent } from '../profiles.ts'
import type { Membership } from '../rooms/events.ts'
import { isPresent } from '../rooms/room-state.ts'
import { joinedRoomPages } from '../sync/key-changes.ts'

const QUERY_TIMEOUT_MS = 10_000
const INTRODUCED_AT_ONCE = 10

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
  reason: string | undefined
  /** By default the requester. */
  target?: string
  /** By default the path's. */
  roomId?: string
}

async function change(
  call: Call,
  membership: Membership,
  { reason, target = call.userId, roomId = param(call, 'roomId') }: Change,
): Promise<undefined> {
  const { core, userId: sender } = call
  await core.commit(tx => {
    const room = tx.takeRoom(roomId)
    const content = isPresent(membership) ? memberContent(core, target, membership) : { membership }
    if (reason !== undefined) content.reason = reason
    tx.setState(room, { type: 'm.room.member', sender, stateKey: target, content })
    if (isPresent(membership)) core.users.remember(target, room.num)
  })
}

function membershipOf(call: Call, userId: string): Membership | undefined {
  return call.core.rooms.read(param(call, 'roomId'))?.membershipOf(userId)
}

const enter = (membership: 'join' | 'knock') => async (call: Call) => {
  const { reason } = await readBody(call, reasonBody)
  const roomId = await resolveRoom(call.core, call.params.roomIdOrAlias ?? param(call, 'roomId'))
  await change(call, membership, { reason, roomId })
  return { room_id: roomId }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidjoin */
export const join = enter('join')

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3knockroomidoralias */
export const knock = enter('knock')

/** Room id for an id or alias; an appservice may create a missing alias. */
async function resolveRoom(core: Core, idOrAlias: string): Promise<string> {
  if (!/^[!#]/.test(idOrAlias)) throw invalidParam('Neither a room id nor an alias')
  const known = core.roomIdOf(idOrAlias)
  if (known !== undefined) return known
  for (const appservice of core.appservices.all())
    if (appservice.namespaces.has('aliases', idOrAlias))
      await queryAppservice(core, appservice.num, `/_matrix/app/v1/rooms/${encodeURIComponent(idOrAlias)}`)
  const made = core.roomIdOf(idOrAlias)
  if (made === undefined) throw notFound('Unknown room alias')
  return made
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidleave */
export async function leave(call: Call): Promise<undefined> {
  const { reason } = await readBody(call, reasonBody)
  if (membershipOf(call, call.userId) !== 'leave') await change(call, 'leave', { reason })
}

type Check = (call: Call, target: string) => void | Promise<void>

/** Changes another user's membership, unless `check` throws. */
const changeOther = (membership: Membership, check: Check) => async (call: Call) => {
  const { user_id: target, reason } = await readBody(call, targetBody)
  await check(call, target)
  return change(call, membership, { reason, target })
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidinvite */
export const invite = changeOther('invite', async (call, target) => {
  assertUserId(target)
  if (membershipOf(call, call.userId) !== 'join') throw forbidden(`${call.userId} is not in the room`)
  await introduceUsers(call.core, [target])
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidkick */
export const kick = changeOther('leave', (call, target) => {
  const membership = membershipOf(call, target)
  if (membership === undefined || !isPresent(membership)) throw forbidden(`${target} is not in the room`)
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidban */
export const ban = changeOther('ban', (_call, target) => assertUserId(target))

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidunban */
export const unban = changeOther('leave', (call, target) => {
  if (membershipOf(call, target) !== 'ban') throw forbidden(`${target} is not banned`)
})

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixclientv3roomsroomidforget */
export async function forget({ core, userId, params }: Call): Promise<undefined> {
  const room = core.rooms.read(params.roomId ?? '')
  const membership = room?.membershipOf(userId)
  if (!room || membership === undefined) return
  if (isPresent(membership)) throw new MatrixError(400, 'M_UNKNOWN', 'Leave the room before you forget it')
  await core.commit(() => core.users.forget(userId, room.num))
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv3joined_rooms */
export function joinedRooms(call: Call): Pieces {
  return enclosed('{"joined_rooms":[', roomsJoined(call), ']}')
}

async function* roomsJoined(call: Call): Pieces {
  const turn = new TurnBudget()
  for await (const page of joinedRoomPages(call.core, call.userId, turn))
    for (const { room_id: roomId } of page) {
      if (await speaksInStored(call, roomId)) yield JSON.stringify(roomId)
      if (turn.isSpent) await turn.pause()
    }
}
