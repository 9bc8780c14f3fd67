/**
 * Portals: the Matrix room of a chat, one for each login that has the chat.
 *
 * Creating a room can't be repeated safely, so the intent is on disk first. After a crash the room
 * of an open intent is found among the bot's by its m.bridge state, set from the start.
 */

import { MatrixError } from '../../lib/matrix-error.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { statementsOf } from '../../lib/statements.ts'
import type { Chat, Login } from '../network/types.ts'
import { inviteLinkOf } from '../platforms.ts'
import { type BridgeContext, ghostUserId } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import { ROOM_FEATURES_TYPE, roomFeatures } from './room-features.ts'

export interface Portal {
  loginId: string
  chatId: string
  userId: string
  roomId: string
}

/** A portal whose room may not exist yet. */
type PortalRow = Omit<Portal, 'roomId'> & { roomId: string | null }

export type Portals = ReturnType<typeof createPortals>

const BRIDGE_STATE = 'm.bridge'
const OLD_BRIDGE_STATE = 'uk.half-shot.bridge'

export function createPortals(context: BridgeContext, ghosts: Ghosts) {
  const { botUserId, committer, database, facts, homeserver, logger, network } = context
  const { one, all, run } = statementsOf(database)
  const SELECT =
    'SELECT login_id AS loginId, chat AS chatId, user_id AS userId, room_id AS roomId FROM sandbox_portal'
  const sql = {
    find: one<PortalRow, [loginId: string, chatId: string]>(`${SELECT} WHERE login_id = ? AND chat = ?`),
    ofRoom: one<Portal, [roomId: string, platform: string]>(`${SELECT} WHERE room_id = ? AND platform = ?`),
    unfinished: all<PortalRow, [platform: string]>(`${SELECT} WHERE platform = ? AND room_id IS NULL`),
    intend: run<[loginId: string, chatId: string, platform: string, userId: string]>(
      'INSERT OR REPLACE INTO sandbox_portal (login_id, chat, platform, user_id, room_id) VALUES (?, ?, ?, ?, NULL)',
    ),
    finish: run<[roomId: string, loginId: string, chatId: string]>(
      'UPDATE sandbox_portal SET room_id = ? WHERE login_id = ? AND chat = ?',
    ),
    forget: run<[loginId: string, chatId: string]>(
      'DELETE FROM sandbox_portal WHERE login_id = ? AND chat = ?',
    ),
  }
  const byRoom = new Map<string, Portal>()
  const making = new SingleFlight<Portal>()
  /** Rooms whose members were checked since the start. */
  const settled = new Set<string>()

  function cached(row: PortalRow | undefined): Portal | undefined {
    if (!row || row.roomId === null) return undefined
    const known = byRoom.get(row.roomId)
    if (known?.userId === row.userId) return known
    const portal = { ...row, roomId: row.roomId }
    byRoom.set(row.roomId, portal)
    return portal
  }

  async function make(login: Login, chat: Chat): Promise<Portal> {
    const row = sql.find(login.id, chat.id)
    const existing = cached(row)
    if (existing) return existing
    const left = row ? await findLeftRoom(login, chat) : null
    if (!row) await committer.write(() => sql.intend(login.id, chat.id, login.platform, login.userId))
    const roomId = left ?? (await createRoom(login, chat))
    await committer.write(() => sql.finish(roomId, login.id, chat.id))
    const portal = { loginId: login.id, chatId: chat.id, userId: login.userId, roomId }
    byRoom.set(roomId, portal)
    if (left === null) settled.add(roomId)
    return portal
  }

  async function createRoom(login: Login, chat: Chat): Promise<string> {
    const members = await Promise.all(ghostPhones(login, chat).map(phone => ghosts.ensure(phone, chat)))
    const roomId = await homeserver.createRoom({
      visibility: 'private',
      preset: 'private_chat',
      is_direct: chat.group === null,
      ...(chat.group ? { name: chat.group.name } : {}),
      ...powerLevels(login, chat),
      invite: [login.userId, ...members],
      initial_state: [
        ...[BRIDGE_STATE, OLD_BRIDGE_STATE].map(type => ({
          type,
          state_key: facts.networkId,
          content: bridgeState(login, chat),
        })),
        { type: ROOM_FEATURES_TYPE, state_key: facts.networkId, content: roomFeatures(facts.platform) },
      ],
    })
    await Promise.all(members.map(ghost => homeserver.join(roomId, ghost)))
    return roomId
  }

  function bridgeState(login: Login, chat: Chat): Record<string, unknown> {
    const network = { id: facts.networkId, displayname: facts.displayName, external_url: facts.networkUrl }
    return {
      bridgebot: botUserId,
      creator: botUserId,
      protocol: network,
      network,
      channel: {
        id: channelId(login, chat),
        displayname: chat.group?.name ?? context.network.store.phone(otherPhone(login, chat)).name,
        ...(chat.group?.inviteCode ? { external_url: inviteLinkOf(facts, chat.group) } : {}),
        'fi.mau.receiver': login.id,
      },
      ...roomTypes(chat),
    }
  }

  /** In a channel only its owner writes; the others react and vote. */
  function powerLevels(login: Login, { group }: Chat): Record<string, unknown> {
    if (group?.kind !== 'channel') return {}
    const owner = ghostUserId(context, login.phone, { group })
    const users = {
      [botUserId]: 100,
      ...(login.phone === group.owner ? { [login.userId]: 100, [owner]: 100 } : {}),
    }
    const free = ['m.reaction', 'm.room.redaction', 'org.matrix.msc3381.poll.response']
    const events = Object.fromEntries(free.map(type => [type, 0]))
    return { power_level_content_override: { events_default: 50, events, users } }
  }

  function channelId(login: Login, chat: Chat): string {
    return chat.group?.groupId ?? facts.directChannelId(facts.personId(otherPhone(login, chat)))
  }

  /** Finds the room that a crash left unrecorded. */
  async function findLeftRoom(login: Login, chat: Chat): Promise<string | null> {
    for (const roomId of await homeserver.joinedRooms()) {
      if (byRoom.has(roomId) || sql.ofRoom(roomId, facts.platform)) continue
      const state = await homeserver.state(roomId, BRIDGE_STATE, facts.networkId)
      const channel = state?.channel as Record<string, unknown> | undefined
      if (channel?.id === channelId(login, chat) && channel['fi.mau.receiver'] === login.id) return roomId
    }
    return null
  }

  /** An old room may lack members: its user may have left, a crash may precede a ghost's join. */
  async function seeToMembers(portal: Portal, login: Login, chat: Chat): Promise<void> {
    if (settled.has(portal.roomId)) return
    const { roomId, userId } = portal
    const member = await homeserver.state(roomId, 'm.room.member', userId)
    if (member?.membership !== 'join' && member?.membership !== 'invite')
      await homeserver.invite(roomId, userId)
    for (const phone of ghostPhones(login, chat)) await bringGhost(roomId, phone, chat)
    await updateFeatures(roomId)
    settled.add(roomId)
  }

  /** Updates the features of a room created when the network accepted other things. */
  async function updateFeatures(roomId: string): Promise<void> {
    const features = roomFeatures(facts.platform)
    const known = await homeserver.state(roomId, ROOM_FEATURES_TYPE, facts.networkId)
    if (known?.id !== features.id)
      await homeserver.setState(roomId, ROOM_FEATURES_TYPE, facts.networkId, features)
  }

  async function bringGhost(roomId: string, phone: string, chat: Chat): Promise<void> {
    const ghost = await ghosts.ensure(phone, chat)
    const member = await homeserver.state(roomId, 'm.room.member', ghost)
    if (member?.membership === 'join') return
    if (member?.membership !== 'invite') await homeserver.invite(roomId, ghost)
    await homeserver.join(roomId, ghost)
  }

  async function prepare(login: Login, chat: Chat): Promise<Portal> {
    const portal = await make(login, chat)
    try {
      await seeToMembers(portal, login, chat)
      return portal
    } catch (error) {
      if (!(error instanceof MatrixError) || (error.status !== 403 && error.status !== 404)) throw error
      logger.warn(
        { err: error, room_id: portal.roomId },
        'the chat gets a new room: its old one is out of reach',
      )
      await forget(portal)
      return make(login, chat)
    }
  }

  /** Drops an unusable room; the next message creates a new one. */
  async function forget({ roomId, loginId, chatId }: Portal): Promise<void> {
    byRoom.delete(roomId)
    settled.delete(roomId)
    await committer.write(() => sql.forget(loginId, chatId))
  }

  function find(loginId: string, chatId: string): Portal | undefined {
    return cached(sql.find(loginId, chatId))
  }

  /** @returns the login's room for the chat, created if needed, with its user joined or invited */
  async function ensure(login: Login, chat: Chat): Promise<Portal> {
    const existing = find(login.id, chat.id)
    if (existing?.userId === login.userId && settled.has(existing.roomId)) return existing
    return making.run(`${login.id} ${chat.id}`, () => prepare(login, chat))
  }

  return {
    ensure,
    find,
    forget,
    bringGhost,
    /** @returns the room's portal; waits for rooms being created */
    async ofRoom(roomId: string): Promise<Portal | undefined> {
      const known = byRoom.get(roomId) ?? cached(sql.ofRoom(roomId, facts.platform))
      if (known || making.size === 0) return known
      await making.settled()
      return byRoom.get(roomId)
    },
    /** Someone left or was removed: checks the members again before the next message. */
    doubt: (portal: Portal): void => void settled.delete(portal.roomId),
    /** Finds rooms whose creation a crash interrupted. */
    async recover(): Promise<void> {
      for (const row of sql.unfinished(facts.platform)) {
        const login = network.store.login(facts.platform, row.loginId)
        const chat = network.store.chat(row.chatId)
        if (login && chat && login.userId === row.userId) await ensure(login, chat)
        else await committer.write(() => sql.forget(row.loginId, row.chatId))
      }
    },
  }
}

/** Bridges don't show who follows a channel or sees status posts. */
function ghostPhones(login: Login, chat: Chat): string[] {
  if (chat.group && chat.group.kind !== 'group') return [login.phone]
  return [...new Set([...chat.members, login.phone])]
}

/** Bridges give a channel and the chat of status posts no type. */
function roomTypes({ group }: Chat): Record<string, string> {
  if (group && group.kind !== 'group') return {}
  const [type, v2] = group ? ['group', 'group_dm'] : ['dm', 'dm']
  return { 'com.beeper.room_type': type, 'com.beeper.room_type.v2': v2 }
}

/** @returns the phone at the other end of a login's direct chat */
function otherPhone(login: Login, chat: Chat): string {
  return chat.members.find(phone => phone !== login.phone) ?? login.phone
}

/** @returns the ghosts whose phones receive what the login writes in the chat */
export function recipientGhosts(context: BridgeContext, senderPhone: string, chat: Chat): string[] {
  return chat.members.filter(phone => phone !== senderPhone).map(phone => ghostUserId(context, phone, chat))
}
