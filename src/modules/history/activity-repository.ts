/** SQL of what goes on in a chat as a whole: when something was said last, and what is unread. */
import type { ChatMessage } from '../../db/schema/index.ts'
import { sqlStatement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { chatMessage, type SaidEvent } from './history-repository.ts'

/** Messages of a chat that are stored together, as far as they concern the chat as a whole. */
export interface Activity extends Pick<ChatMessage, 'identityId' | 'roomId'> {
  /** When the newest of them was sent. */
  at: number
  /** Those that came in, after the account wrote there itself, if it did. */
  cameIn: number
  hasWritten: boolean
  /** True for history alone. */
  isPast: boolean
}

// A chat that came about just now may have been silent for years: it isn't livelier than its
// history.
const note = sqlStatement(`
  UPDATE chats SET
    activity_at = CASE WHEN $isPast AND activity_at = created_at THEN $at ELSE max(activity_at, $at) END,
    unread_count = CASE WHEN $hasWritten THEN $cameIn ELSE unread_count + $cameIn END
  WHERE identity_id = $identityId AND room_id = $roomId`)
const behind = sqlStatement<{ count: number }>(`
  SELECT count(*) AS count FROM (
    SELECT 1 FROM chat_messages
    WHERE identity_id = $identityId AND room_id = $roomId AND relates_to IS NULL
      AND (sent_at, seq) > ($sentAt, $seq) AND direction = 'in'
    LIMIT $most)`)
const unreadOf = sqlStatement<{ unread: number }>(`
  SELECT unread_count AS unread FROM chats WHERE identity_id = $identityId AND room_id = $roomId`)
const setUnread = sqlStatement(`
  UPDATE chats SET unread_count = $unread WHERE identity_id = $identityId AND room_id = $roomId`)

export function noteActivity(tx: Tx, activity: Activity): Promise<void> {
  return tx.run(note, { ...activity })
}

/**
 * The account has read a chat up to an event, and with it all before.
 * @returns how many are unread now; null when it has read them before, or never had the event
 */
export async function markRead(tx: Tx, event: SaidEvent): Promise<number | null> {
  const { identityId, roomId } = event
  const before = (await tx.get(unreadOf, { identityId, roomId }))?.unread ?? 0
  if (before === 0) return null
  const read = await tx.get(chatMessage, { ...event })
  if (read?.roomId !== roomId) return null
  const { sentAt, seq } = read
  const unread = (await tx.get(behind, { identityId, roomId, sentAt, seq, most: before }))?.count ?? 0
  if (unread >= before) return null
  await tx.run(setUnread, { identityId, roomId, unread })
  return unread
}
