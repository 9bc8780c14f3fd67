/** Finds users whose encryption keys changed, among those sharing a room with a user. */
import type { TurnBudget } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'

const PAGE = 200

/** Yields, as JSON, users sharing a room with `userId` whose keys changed in (`from`, `to`]. */
export async function* changedUsers(
  core: Core,
  userId: string,
  { from, to }: { from: number; to: number },
  turn: TurnBudget,
): AsyncGenerator<string, void> {
  for (let after = from; ; ) {
    const page = core.keys.changes(after, to, PAGE)
    for (const { user_id: other } of page)
      if (other === userId || (await shareRoom(core, userId, other, turn))) yield JSON.stringify(other)
    const last = page.at(-1)
    if (!last || page.length < PAGE) return
    after = last.stream_id
    await turn.pause()
  }
}

/** True when both have joined a common room; either may be in very many. */
export async function shareRoom(core: Core, one: string, other: string, turn: TurnBudget): Promise<boolean> {
  for (let after = 0; ; ) {
    const page = core.events.joinedRooms(other, after, PAGE)
    for (const { room, room_id: roomId } of page) {
      if (core.rooms.isJoined(roomId, one)) return true
      after = room
    }
    if (page.length < PAGE) return false
    await turn.pause()
  }
}
