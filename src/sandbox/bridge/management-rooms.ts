/** Rooms in which users talk to the bridge's bot, one for each user. */
import { statementsOf } from '../../lib/statements.ts'
import type { BridgeContext } from './context.ts'

export type ManagementRooms = ReturnType<typeof createManagementRooms>

export function createManagementRooms({ committer, database, facts, homeserver, logger }: BridgeContext) {
  const { value, run } = statementsOf(database)
  const roomOf = value<string, [string, string]>(
    'SELECT room_id FROM sandbox_management_room WHERE platform = ? AND user_id = ?',
  )
  const put = run<[string, string, string]>(
    'INSERT OR REPLACE INTO sandbox_management_room (platform, user_id, room_id) VALUES (?, ?, ?)',
  )
  return {
    of: (userId: string) => roomOf(facts.platform, userId),
    set: (userId: string, roomId: string) => committer.write(() => put(facts.platform, userId, roomId)),
    /** Sends the user a message if they have such a room. The same key sends it only once. */
    async notify(userId: string, key: string, text: string): Promise<void> {
      const room = roomOf(facts.platform, userId)
      if (room === undefined) return
      await homeserver.notice(room, key, text).catch(error => {
        logger.warn({ err: error, user_id: userId }, 'a notice did not reach the management room')
      })
    },
  }
}
