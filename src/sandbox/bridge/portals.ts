/**
 * Portals: the Matrix room of a chat, one for each login that has the chat.
 *
 * Creating a room can't be repeated safely, so the intent is on disk first. After a crash the room
 * of an open intent is found among the bot's by its m.bridge state, set from the start.
 */

import { MatrixError } from '../../lib/matrix-error.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { statementsOf } from '../../lib/statements.ts'
import type { Chat, Login, Media } from '../network/types.ts'
import { type BridgeContext, ghostUserId, goesByNumber } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import { createPortalRooms, ghostPhones, isMember, otherPhone } from './portal-rooms.ts'

export interface Portal {
  loginId: string
  chatId: string
  userId: string
  roomId: string
  /** True while the room is with the number of somebody who has a hidden id, too. */
  byNumber: boolean
}

/** A portal whose room may not exist yet. */
type PortalRow = Omit<Portal, 'roomId' | 'byNumber'> & { roomId: string | null; byNumber: number }

export type Portals = ReturnType<typeof createPortals>

export function createPortals(
  context: BridgeContext,
  ghosts: Ghosts,
  mxcOf: (media: Media) => Promise<string>,
) {
  const rooms = createPortalRooms(context, ghosts, mxcOf)
  const { committer, database, facts, homeserver, logger, network } = context
  const { one, all, run } = statementsOf(database)
  const SELECT =
    'SELECT login_id AS loginId, chat AS chatId, user_id AS userId, room_id AS roomId, by_number AS byNumber FROM sandbox_portal'
  const sql = {
    find: one<PortalRow, [loginId: string, chatId: string]>(`${SELECT} WHERE login_id = ? AND chat = ?`),
    ofRoom: one<PortalRow, [roomId: string, platform: string]>(
      `${SELECT} WHERE room_id = ? AND platform = ?`,
    ),
    unfinished: all<PortalRow, [platform: string]>(`${SELECT} WHERE platform = ? AND room_id IS NULL`),
    intend: run<[loginId: string, chatId: string, platform: string, userId: string]>(
      'INSERT OR REPLACE INTO sandbox_portal (login_id, chat, platform, user_id, room_id) VALUES (?, ?, ?, ?, NULL)',
    ),
    finish: run<[Portal]>(
      'UPDATE sandbox_portal SET room_id = $roomId, by_number = $byNumber WHERE login_id = $loginId AND chat = $chatId',
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
    const portal = { ...row, roomId: row.roomId, byNumber: row.byNumber === 1 }
    byRoom.set(row.roomId, portal)
    return portal
  }

  async function make(login: Login, chat: Chat): Promise<Portal> {
    const row = sql.find(login.id, chat.id)
    const existing = cached(row)
    if (existing) return existing
    const left = row ? await findLeftRoom(login, chat) : null
    if (!row) await committer.write(() => sql.intend(login.id, chat.id, login.platform, login.userId))
    const roomId = left ?? (await rooms.create(login, chat))
    if (left === null) settled.add(roomId)
    return note(login, chat, roomId)
  }

  /** Stores which room the chat has, and with which id. */
  async function note(login: Login, chat: Chat, roomId: string): Promise<Portal> {
    const byNumber = isByNumber(login, chat)
    const portal = { loginId: login.id, chatId: chat.id, userId: login.userId, roomId, byNumber }
    await committer.write(() => sql.finish(portal))
    byRoom.set(roomId, portal)
    return portal
  }

  function isByNumber(login: Login, chat: Chat): boolean {
    return chat.group === null && goesByNumber(context, otherPhone(login, chat))
  }

  /** The network has moved the chat to another id of the other party. */
  async function follow(portal: Portal, login: Login, chat: Chat): Promise<Portal> {
    if (portal.byNumber === isByNumber(login, chat)) return portal
    await rooms.change(portal.roomId, login, chat)
    return note(login, chat, portal.roomId)
  }

  /** Gives the chat a new room, and closes the one before. */
  async function replace(login: Login, chat: Chat): Promise<Portal> {
    const old = find(login.id, chat.id)
    if (!old) return prepare(login, chat)
    const roomId = await rooms.create(login, chat)
    byRoom.delete(old.roomId)
    settled.add(roomId)
    const portal = await note(login, chat, roomId)
    await rooms.close(old.roomId, login, chat, roomId)
    return portal
  }

  /** Finds the room that a crash left unrecorded. */
  async function findLeftRoom(login: Login, chat: Chat): Promise<string | null> {
    for (const roomId of await homeserver.joinedRooms()) {
      if (byRoom.has(roomId) || sql.ofRoom(roomId, facts.platform)) continue
      if (await rooms.isOf(roomId, login, chat)) return roomId
    }
    return null
  }

  /** An old room may lack members: its user may have left, a crash may precede a ghost's join. */
  async function seeToMembers(portal: Portal, login: Login, chat: Chat): Promise<void> {
    if (settled.has(portal.roomId)) return
    const { roomId, userId } = portal
    const member = await homeserver.state(roomId, 'm.room.member', userId)
    if (member?.membership !== 'join' && member?.membership !== 'invite' && isMember(login, chat))
      await homeserver.invite(roomId, userId)
    for (const phone of ghostPhones(login, chat)) await rooms.bringGhost(roomId, phone, chat)
    await rooms.updateFeatures(roomId, login, chat)
    settled.add(roomId)
  }

  async function prepare(login: Login, chat: Chat): Promise<Portal> {
    const made = await make(login, chat)
    try {
      const portal = await follow(made, login, chat)
      await seeToMembers(portal, login, chat)
      return portal
    } catch (error) {
      if (!(error instanceof MatrixError) || (error.status !== 403 && error.status !== 404)) throw error
      logger.warn(
        { err: error, room_id: made.roomId },
        'the chat gets a new room: its old one is out of reach',
      )
      await forget(made)
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
    const isSettled = existing?.userId === login.userId && settled.has(existing.roomId)
    if (isSettled && existing.byNumber === isByNumber(login, chat)) return existing
    return making.run(`${login.id} ${chat.id}`, () => prepare(login, chat))
  }

  /**
   * Moves all direct chats with a phone to the id by which it goes now.
   * @param isNewRoom closes their rooms in favour of new ones, as when there were two
   */
  async function move(phone: string, isNewRoom: boolean): Promise<void> {
    for (const chat of network.store.chatsOfPhone(phone)) {
      if (chat.platform !== facts.platform || chat.group !== null) continue
      for (const member of chat.members) {
        const login = member === phone ? undefined : network.store.loginOfPhone(facts, member)
        if (!login || !find(login.id, chat.id)) continue
        await making.run(`${login.id} ${chat.id}`, () => (isNewRoom ? replace : prepare)(login, chat))
      }
    }
  }

  return {
    ensure,
    find,
    forget,
    move,
    bringGhost: rooms.bringGhost,
    /** Sets the room's m.bridge state, which names the chat. */
    describe: ({ roomId }: Portal, login: Login, chat: Chat) => rooms.describe(roomId, login, chat),
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

/** @returns the ghosts whose phones receive what the login writes in the chat */
export function recipientGhosts(context: BridgeContext, senderPhone: string, chat: Chat): string[] {
  return chat.members.filter(phone => phone !== senderPhone).map(phone => ghostUserId(context, phone, chat))
}
