/**
 * SQL of the one history of chats: what is said is written once, wherever it comes from; an edit
 * changes its message, and a deletion erases it.
 */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { anyWhere, equal, given, rowsBy } from '../../db/row-statements.ts'
import { type ChatMessage, chatMessages, media, messages } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { type IndexedRow, reindex, unindex } from './search-repository.ts'

type Given =
  | 'identityId'
  | 'eventId'
  | 'roomId'
  | 'deviceRowId'
  | 'senderUserId'
  | 'direction'
  | 'kind'
  | 'text'
  | 'content'
  | 'replyTo'
  | 'relatesTo'
  | 'sentAt'

export interface NewChatMessage extends Pick<ChatMessage, Given> {
  /** The id of a message that was sent from here. */
  messageId?: string | null
  mediaId?: string | null
}

/** An event of an identity. A redaction may name one of another room, which isn't meant. */
export type SaidEvent = Pick<ChatMessage, 'identityId' | 'roomId' | 'eventId'>

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
        'messageId',
        'mediaId',
      ),
      storedAt: param('now'),
    })
    .onConflictDoNothing()
    .returning({ seq: chatMessages.seq }),
)
const sentHere = anyWhere(messages, eq(messages.eventId, textParam('eventId')))
const ofEvent = equal(chatMessages, 'identityId', 'eventId', 'roomId')
const editMessage = statement(orm =>
  orm
    .update(chatMessages)
    .set({
      text: sql`${param('text')}`,
      editedAt: sql`${param('sentAt')}`,
      content: sql`json_patch(${chatMessages.content}, ${param('mentions')})`,
    })
    .where(ofEvent),
)
const erased = { text: '', content: null, deletedAt: param('now') as never }
const eraseMessage = statement(orm => orm.update(chatMessages).set(erased).where(ofEvent))
const edits = statement(orm =>
  orm
    .select({ eventId: chatMessages.eventId })
    .from(chatMessages)
    .where(
      // Spelled out, as a partial index is found by its text.
      sql`${equal(chatMessages, 'identityId', 'relatesTo')} and relates_to is not null and ${chatMessages.kind} = 'edit'`,
    ),
)
const eraseEvent = sqlStatement(`
  UPDATE events SET payload = json_remove(json_set(payload, '$.message', '', '$.media', NULL, '$.location', NULL), '$.poll', '$.mentions')
  WHERE identity_id = $identityId AND event_id = $eventId AND room_id = $roomId`)
// One that the network may ask for once more keeps its text until it has been sent again.
const eraseSent = sqlStatement(`
  UPDATE messages SET text = NULL, content = NULL
  WHERE event_id = $eventId AND event_id IS NOT NULL AND room_id = $roomId AND identity_id = $identityId
    AND status NOT IN ('queued', 'sending', 'submitted')`)
const sentRows = rowsBy(chatMessages, 'messageId')
/** A row, as far as forgetting it needs. */
export type ForgottenRow = Pick<ChatMessage, 'eventId' | 'mediaId'> & IndexedRow

// By device: SQLite would look through all messages for those of removed ones.
const ofRemovedDevices = sqlStatement<ForgottenRow>(`
  SELECT m.seq, m.sent_at AS sentAt, m.identity_id AS identityId, m.event_id AS eventId, m.media_id AS mediaId,
    m.room_id AS roomId, m.text, m.relates_to AS relatesTo
  FROM devices d CROSS JOIN chat_messages m ON m.device_row_id = d.id
  WHERE d.removed_at IS NOT NULL LIMIT $limit`)
const deleteRow = statement(orm => orm.delete(chatMessages).where(equal(chatMessages, 'seq')))
const fileIsNeeded = sqlStatement(`
  SELECT 1 FROM events WHERE identity_id = $identityId AND event_id = $eventId AND media_id = $mediaId
  UNION ALL SELECT 1 FROM messages WHERE media_id = $mediaId AND media_id IS NOT NULL
  UNION ALL SELECT 1 FROM chat_messages WHERE media_id = $mediaId AND media_id IS NOT NULL
  LIMIT 1`)
const deleteFile = statement(orm => orm.delete(media).where(eq(media.id, param('mediaId'))))

/**
 * Writes something said once; an edit changes its message.
 * @returns whether it is new, and the file that it has: that of the first time
 */
export async function writeHistory(
  tx: Tx,
  message: NewChatMessage,
  now: number,
): Promise<{ isNew: boolean; mediaId: string | null }> {
  const { direction, eventId, messageId = null, mediaId = null } = message
  const isEdit = message.kind === 'edit'
  // Something that was sent from here comes back.
  if (direction === 'out' && messageId === null && (await tx.get(sentHere, { eventId })))
    return { isNew: false, mediaId: null }
  const said = isEdit ? { ...message, text: '', content: null, mediaId: null } : message
  const row = await tx.get(insertMessage, { ...said, messageId, mediaId: said.mediaId ?? null, now })
  if (!row) return { isNew: false, mediaId: (await tx.get(chatMessage, { ...message }))?.mediaId ?? null }
  if (isEdit && message.relatesTo !== null)
    await editHistory(tx, { ...message, eventId: message.relatesTo }, message)
  tx.emit('said')
  return { isNew: true, mediaId }
}

/** Gives a message the text of an edit, unless it was edited later or deleted. */
export async function editHistory(
  tx: Tx,
  message: SaidEvent,
  { text, content, sentAt: editedAt }: Pick<NewChatMessage, 'text' | 'content' | 'sentAt'>,
): Promise<void> {
  const before = await tx.get(chatMessage, { ...message })
  if (before?.roomId !== message.roomId || before.deletedAt !== null) return
  if ((before.editedAt ?? 0) > editedAt) return
  await reindex(tx, before, text)
  const mentions = JSON.stringify({ mentions: content?.mentions })
  await tx.run(editMessage, { ...message, text, mentions, sentAt: editedAt })
}

/** Forgets an earlier event of a message that is sent again as a new one. */
export async function forgetSentHistory(tx: Tx, messageId: string): Promise<void> {
  for (const row of await tx.all(sentRows, { messageId })) {
    await unindex(tx, row)
    await tx.run(deleteRow, { seq: row.seq })
  }
}

/**
 * Forgets what a message said, with its edits, in every table; a reaction or a vote is gone with
 * that.
 */
export async function eraseHistory(tx: Tx, event: SaidEvent, now: number): Promise<void> {
  const found = await tx.get(chatMessage, { ...event })
  if (found && found.roomId !== event.roomId) return
  if (found) await unindex(tx, found)
  await tx.run(eraseMessage, { ...event, now })
  // Their removal tells what they said, too.
  if (found?.kind === 'reaction' || found?.kind === 'vote') return
  await tx.run(eraseSent, { ...event })
  const { identityId, eventId: relatesTo } = event
  const changes = await tx.all(edits, { identityId, relatesTo })
  for (const { eventId } of [event, ...changes]) await tx.run(eraseEvent, { ...event, eventId })
}

/**
 * Deletes a row of the history, and its file's unless something else has that file.
 * @returns the file that is to be removed from the disk once this is committed, if any
 */
export async function forgetHistory(tx: Tx, row: ForgottenRow): Promise<string | null> {
  const { seq, identityId, eventId, mediaId } = row
  await unindex(tx, row)
  await tx.run(deleteRow, { seq })
  if (mediaId === null || (await tx.get<unknown>(fileIsNeeded, { identityId, eventId, mediaId }))) return null
  await tx.run(deleteFile, { mediaId })
  return mediaId
}

export function createHistoryRepository(db: Pick<Db, 'write'>) {
  return {
    /** Deletes some messages of devices that were removed. @returns how many, and their files */
    deleteOfRemovedDevices: (limit: number) =>
      db.write(async tx => {
        const rows = await tx.all(ofRemovedDevices, { limit })
        const files: string[] = []
        for (const row of rows) {
          const file = await forgetHistory(tx, row)
          if (file !== null) files.push(file)
        }
        return { count: rows.length, files }
      }),
  }
}
