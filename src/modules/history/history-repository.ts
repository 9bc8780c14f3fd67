/** SQL of messages from before a device was linked. */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { anyWhere, equal, given, rowsBy } from '../../db/row-statements.ts'
import { type ChatMessage, chatMessages, messages } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'

export type NewChatMessage = Omit<ChatMessage, 'seq' | 'storedAt' | 'deletedAt'>

const param = sql.placeholder

/** An identity's message by its event. */
export const chatMessage = rowsBy(chatMessages, 'identityId', 'eventId')
const insertMessage = statement(orm =>
  orm
    .insert(chatMessages)
    .values({
      ...given(
        'identityId',
        'eventId',
        'roomId',
        'deviceRowId',
        'senderUserId',
        'direction',
        'kind',
        'text',
        'content',
        'replyTo',
        'relatesTo',
        'sentAt',
      ),
      storedAt: param('now'),
    })
    .onConflictDoNothing(),
)
const sentHere = anyWhere(messages, eq(messages.eventId, textParam('eventId')))
const eraseMessage = statement(orm =>
  orm
    .update(chatMessages)
    .set({ text: '', content: null, deletedAt: param('now') as never })
    .where(equal(chatMessages, 'identityId', 'eventId')),
)
const eraseEdits = statement(orm =>
  orm
    .update(chatMessages)
    .set({ text: '', content: null, deletedAt: param('now') as never })
    .where(
      and(equal(chatMessages, 'identityId', 'roomId', 'kind'), eq(chatMessages.relatesTo, param('eventId'))),
    ),
)
// By device: SQLite would look through all messages for those of removed ones.
const deleteOfRemovedDevices = sqlStatement<{ seq: number }>(
  `DELETE FROM chat_messages WHERE seq IN (
     SELECT m.seq FROM devices d CROSS JOIN chat_messages m ON m.device_row_id = d.id
     WHERE d.removed_at IS NOT NULL LIMIT $limit)
   RETURNING seq`,
)

/** Stores a message once. One that was sent from here is no history, and is left out. */
export async function writeHistory(tx: Tx, message: NewChatMessage, now: number): Promise<void> {
  const { direction, eventId } = message
  if (direction === 'out' && (await tx.get(sentHere, { eventId }))) return
  await tx.run(insertMessage, { ...message, now })
}

/** Forgets what a message said, and its edits. A redaction may name an event of another room. */
export async function eraseHistory(
  tx: Tx,
  event: Pick<ChatMessage, 'identityId' | 'roomId' | 'eventId'>,
  now: number,
): Promise<void> {
  const found = await tx.get(chatMessage, { ...event })
  if (found?.roomId !== event.roomId) return
  await tx.run(eraseMessage, { ...event, now })
  await tx.run(eraseEdits, { ...event, kind: 'edit', now })
}

export function createHistoryRepository(db: Pick<Db, 'write'>) {
  return {
    /** Deletes some messages of devices that were removed. @returns how many */
    deleteOfRemovedDevices: (limit: number) =>
      db.write(async tx => (await tx.all(deleteOfRemovedDevices, { limit })).length),
  }
}
