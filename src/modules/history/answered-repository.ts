/** SQL of messages that are answered: their text, and the notes on those sent from here. */
import type { Db } from '../../db/open.ts'
import type { ChatMessage } from '../../db/schema/index.ts'
import { sqlStatement } from '../../db/statement.ts'

export type AnsweredMessage = Pick<
  ChatMessage,
  'text' | 'direction' | 'deviceRowId' | 'senderUserId' | 'messageId'
> & { metadata: Record<string, string> | null }

const answeredMessage = sqlStatement<Omit<AnsweredMessage, 'metadata'> & { metadata: string | null }>(`
  SELECT said.text, said.direction, said.device_row_id AS deviceRowId, said.sender_user_id AS senderUserId,
    said.message_id AS messageId, sent.metadata
  FROM chat_messages AS said LEFT JOIN messages AS sent ON sent.id = said.message_id
  WHERE said.identity_id = $identityId AND said.event_id = $eventId`)

/** @returns a function that finds an identity's message by its event; null when it isn't kept */
export function createFindAnswered(db: Pick<Db, 'read'>) {
  return async (identityId: string, eventId: string): Promise<AnsweredMessage | null> => {
    const found = await db.read(reader => reader.get(answeredMessage, { identityId, eventId }))
    return found ? { ...found, metadata: found.metadata === null ? null : JSON.parse(found.metadata) } : null
  }
}
