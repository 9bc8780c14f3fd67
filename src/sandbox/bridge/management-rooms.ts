/** Rooms in which users talk to the bridge's bot, one for each user. */
import type { BridgeContext } from './context.ts'

export interface ManagementRooms {
  of(userId: string): string | null
  ownerOf(roomId: string): string | null
  set(userId: string, roomId: string): Promise<void>
  /** Sends the user a message if they have such a room. The same key sends it only once. */
  tell(userId: string, key: string, text: string): Promise<void>
}

export function createManagementRooms(context: BridgeContext): ManagementRooms {
  const { committer, database, facts, homeserver, logger } = context
  const sql = {
    of: database.query<{ room_id: string }, [string, string]>(
      'SELECT room_id FROM sandbox_management_room WHERE platform = ? AND user_id = ?',
    ),
    owner: database.query<{ user_id: string }, [string, string]>(
      'SELECT user_id FROM sandbox_management_room WHERE platform = ? AND room_id = ?',
    ),
    put: database.query(
      'INSERT OR REPLACE INTO sandbox_management_room (platform, user_id, room_id) VALUES (?, ?, ?)',
    ),
  }
  return {
    of: userId => sql.of.get(facts.platform, userId)?.room_id ?? null,
    ownerOf: roomId => sql.owner.get(facts.platform, roomId)?.user_id ?? null,
    async set(userId, roomId) {
      await committer.write(() => void sql.put.run(facts.platform, userId, roomId))
    },
    async tell(userId, key, text) {
      const room = sql.of.get(facts.platform, userId)
      if (!room) return
      try {
        const content = { msgtype: 'm.notice', body: text }
        await homeserver.send({ roomId: room.room_id, type: 'm.room.message', txnId: key, content })
      } catch (error) {
        logger.warn({ err: error, user_id: userId }, 'a notice did not reach the management room')
      }
    },
  }
}
