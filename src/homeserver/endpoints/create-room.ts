/** @see Matrix v1.12, POST /_matrix/client/v3/createRoom */
import { z } from 'zod'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { Call } from '../call.ts'
import { jsonObject, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, MatrixError } from '../errors.ts'
import { assertUserId, randomId } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import { MAX_INITIAL_STATE, MAX_INVITES } from '../limits.ts'
import { refusal } from '../rooms/auth-rules.ts'
import type { RoomState } from '../rooms/room-state.ts'
import type { Tx } from '../tx.ts'
import { bindAlias, newAlias } from './directory.ts'
import { introduceUsers, memberContent } from './membership.ts'

const DEFAULT_ROOM_VERSION = '11'
const ROOM_VERSIONS = ['10', '11']

/** Most invitations in one write. */
const INVITED_AT_ONCE = 100

const body = z.object({
  preset: z.enum(['private_chat', 'trusted_private_chat', 'public_chat']).optional(),
  visibility: z.enum(['public', 'private']).optional(),
  name: z.string().optional(),
  topic: z.string().optional(),
  room_alias_name: z.string().optional(),
  room_version: z.string().optional(),
  invite: z.array(z.string()).max(MAX_INVITES).optional(),
  is_direct: z.boolean().optional(),
  creation_content: jsonObject.optional(),
  power_level_content_override: jsonObject.optional(),
  initial_state: z
    .array(z.object({ type: z.string().min(1), state_key: z.string().optional(), content: jsonObject }))
    .max(MAX_INITIAL_STATE)
    .optional(),
})
type CreateRoom = z.infer<typeof body>

const PRESETS = {
  private_chat: { joinRule: 'invite', guests: 'can_join' },
  trusted_private_chat: { joinRule: 'invite', guests: 'can_join' },
  public_chat: { joinRule: 'public', guests: 'forbidden' },
}

export async function createRoom(call: Call): Promise<JsonObject> {
  const { core, userId: creator } = call
  const wish = await readBody(call, body, { wholeNumbers: true })
  const version = wish.room_version ?? DEFAULT_ROOM_VERSION
  if (!ROOM_VERSIONS.includes(version))
    throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', `Room version ${version} is not supported`)
  for (const userId of wish.invite ?? []) assertUserId(userId)
  const alias =
    wish.room_alias_name === undefined
      ? undefined
      : newAlias(call, `#${wish.room_alias_name}:${core.serverName}`)
  const invited = [...new Set(wish.invite)].filter(userId => userId !== creator)
  await introduceUsers(core, invited)
  const roomId = `${randomId('!', 18)}:${core.serverName}`
  await core.commit(tx => {
    if (alias !== undefined && core.events.alias(alias))
      throw new MatrixError(400, 'M_ROOM_IN_USE', 'This alias is taken')
    const num = core.events.insertRoom(roomId, version, core.clock.now()) as number
    const room = core.rooms.create(num, roomId, version, tx.taken)
    fill(core, tx, room, creator, wish, alias)
    for (const userId of invited) assertMayInvite(room, creator, userId)
  })
  const isDirect = wish.is_direct === true
  for (let next = 0; next < invited.length; ) {
    const draft = { sender: creator, invited: invited.slice(next), isDirect }
    next += await core.commit(tx => inviteSome(core, tx, tx.takeRoom(roomId), draft))
  }
  return { room_id: roomId }
}

/** Refuses the whole room before anything is written. */
function assertMayInvite(room: RoomState, creator: string, userId: string): void {
  const content = { membership: 'invite' }
  const reason = refusal(room, { type: 'm.room.member', stateKey: userId, sender: creator, content })
  if (reason !== undefined) throw forbidden(reason)
}

/**
 * Invites as many users as fit one write. A kill may leave some uninvited, which is harmless: the
 * caller never learns of that room and makes another.
 * @returns how many
 */
function inviteSome(
  core: Core,
  tx: Tx,
  room: RoomState,
  draft: { sender: string; invited: string[]; isDirect: boolean },
): number {
  const turn = new TurnBudget()
  let done = 0
  for (const userId of draft.invited.slice(0, INVITED_AT_ONCE)) {
    if (done > 0 && turn.isSpent) break
    done++
    // The room's initial state may have invited them, and they may have left.
    if (room.membershipOf(userId) !== undefined) continue
    const content = memberContent(core, userId, 'invite')
    if (draft.isDirect) content.is_direct = true
    tx.append(room, { type: 'm.room.member', sender: draft.sender, stateKey: userId, content })
  }
  return done
}

/** Appends a new room's events in the order of the specification. */
function fill(
  core: Core,
  tx: Tx,
  room: RoomState,
  creator: string,
  wish: CreateRoom,
  alias: string | undefined,
): void {
  const preset = wish.preset ?? (wish.visibility === 'public' ? 'public_chat' : 'private_chat')
  const { joinRule, guests } = PRESETS[preset]
  const creation: JsonObject = { ...wish.creation_content, room_version: room.version }
  delete creation.creator
  if (room.version === '10') creation.creator = creator
  tx.append(room, { type: 'm.room.create', sender: creator, stateKey: '', content: creation })
  const join = memberContent(core, creator, 'join')
  tx.append(room, { type: 'm.room.member', sender: creator, stateKey: creator, content: join })
  const set = (type: string, content: JsonObject, stateKey = '') =>
    tx.setState(room, { type, sender: creator, stateKey, content })
  set('m.room.power_levels', initialPower(creator, wish, preset))
  if (alias !== undefined) {
    bindAlias(core, room, alias, creator)
    set('m.room.canonical_alias', { alias })
  }
  const given = new Set((wish.initial_state ?? []).map(event => `${event.type}|${event.state_key ?? ''}`))
  const preferred = (type: string, content: JsonObject) => {
    if (!given.has(`${type}|`)) set(type, content)
  }
  preferred('m.room.join_rules', { join_rule: joinRule })
  preferred('m.room.history_visibility', { history_visibility: 'shared' })
  preferred('m.room.guest_access', { guest_access: guests })
  for (const event of wish.initial_state ?? []) set(event.type, event.content, event.state_key)
  if (wish.name !== undefined) set('m.room.name', { name: wish.name })
  if (wish.topic !== undefined) set('m.room.topic', { topic: wish.topic })
}

function initialPower(creator: string, wish: CreateRoom, preset: string): JsonObject {
  const users: JsonObject = { [creator]: 100 }
  if (preset === 'trusted_private_chat') for (const userId of wish.invite ?? []) users[userId] = 100
  return {
    users,
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.canonical_alias': 50,
      'm.room.avatar': 50,
      'm.room.tombstone': 100,
      'm.room.server_acl': 100,
      'm.room.encryption': 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: preset === 'public_chat' ? 50 : 0,
    historical: 100,
    ...wish.power_level_content_override,
  }
}
