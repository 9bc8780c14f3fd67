/** Finds users whose encryption keys changed, among those sharing a room with a user. */
import type { Pieces } from '../../lib/json-answer.ts'
import { pagesOf } from '../../lib/pages.ts'
import type { TurnBudget } from '../../lib/turn-budget.ts'
import type { Requester } from '../call.ts'
import type { Core } from '../core.ts'

const PAGE = 200

/** Yields, as JSON, users sharing a room with `userId` whose keys changed in (`from`, `to`]. */
export async function* changedUsers(
  { core, userId }: Requester,
  { from, to }: { from: number; to: number },
  turn: TurnBudget,
): Pieces {
  const read = (after: number, limit: number) => core.keys.changes(after, to, limit)
  for await (const page of pagesOf({ read, placeOf: row => row.stream_id, start: from, size: PAGE }, turn))
    for (const { user_id: other } of page)
      if (other === userId || (await shareRoom(core, userId, other, turn))) yield JSON.stringify(other)
}

/** True when both have joined a common room; either may be in very many. */
export async function shareRoom(core: Core, one: string, other: string, turn: TurnBudget): Promise<boolean> {
  for await (const page of joinedRoomPages(core, other, turn))
    if (page.some(({ room_id: roomId }) => core.events.membershipIn(roomId, one) === 'join')) return true
  return false
}

/** All rooms that the user has joined. */
export function joinedRoomPages(core: Core, userId: string, turn: TurnBudget) {
  const read = (after: number, limit: number) => core.events.joinedRooms(userId, after, limit)
  return pagesOf({ read, placeOf: ({ room }) => room, start: 0, size: PAGE }, turn)
}
