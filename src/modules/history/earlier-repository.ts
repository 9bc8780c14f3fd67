/**
 * SQL that takes messages from before the history into it: what was sent, then what came in, each
 * in its order. `settings` has how far that is; a new installation has no such rows.
 */
import { and, asc, eq, gt, lte } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import {
  type EventRow,
  events,
  type Media,
  type Message,
  media,
  messages,
  settings,
} from '../../db/schema/index.ts'
import { limitParam, numberParam } from '../../db/stable-params.ts'
import { sqlStatement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { isMessageEvent, type MessageEvent } from '../../domain/events.ts'
import type { MessageKind } from '../../domain/states.ts'
import { noteActivity } from './activity-repository.ts'
import { editHistory, eraseHistory, type NewChatMessage, writeHistory } from './history-repository.ts'

const SENT = 'earlier_sent'
const TOLD = 'earlier_events'
const place = rowsBy(settings, 'name')
const setPlace = sqlStatement('UPDATE settings SET value = $value WHERE name = $name')
const endPlace = sqlStatement('DELETE FROM settings WHERE name = $name')
const sentRows = statement(orm =>
  orm
    .select({ row: messages, file: media })
    .from(messages)
    .leftJoin(media, eq(media.id, messages.mediaId))
    .where(and(gt(messages.seq, numberParam('after')), lte(messages.seq, numberParam('through'))))
    .orderBy(asc(messages.seq))
    .limit(limitParam('limit')),
)
const toldRows = statement(orm =>
  orm
    .select({ row: events, file: media })
    .from(events)
    .leftJoin(media, eq(media.id, events.mediaId))
    .where(and(gt(events.seq, numberParam('after')), lte(events.seq, numberParam('through'))))
    .orderBy(asc(events.seq))
    .limit(limitParam('limit')),
)
// Its event only names the message, and how it was reacted to.
const takenBack = sqlStatement<{ eventId: string }>(`
  SELECT event_id AS eventId FROM chat_messages
  WHERE identity_id = $identityId AND relates_to = $relatesTo AND relates_to IS NOT NULL
    AND kind = 'reaction' AND sender_user_id = $senderUserId AND deleted_at IS NULL`)

// Somebody may edit a message before it is taken in. The text is in the event alone.
const editedSince = sqlStatement<{ text: string; sentAt: number }>(`
  SELECT e.payload ->> '$.message' AS text, c.sent_at AS sentAt FROM chat_messages AS c
  JOIN events AS e ON e.identity_id = c.identity_id AND e.event_id = c.event_id
  WHERE c.identity_id = $identityId AND c.relates_to = $eventId AND c.relates_to IS NOT NULL
    AND c.kind = 'edit' AND c.deleted_at IS NULL
  ORDER BY c.sent_at DESC LIMIT 1`)

type WithFile<Row> = { row: Row; file: Media | null }

export function createEarlierRepository(db: Pick<Db, 'write'>) {
  return {
    /** Takes some messages in. @returns true when there may be more */
    takeSome: (limit: number): Promise<boolean> =>
      db.write(async tx => {
        const sent = await rangeOf(tx, SENT)
        const name = sent ? SENT : TOLD
        const range = sent ?? (await rangeOf(tx, TOLD))
        if (!range) return false
        const rows: WithFile<Message | EventRow>[] = sent
          ? await takeSent(tx, await tx.all(sentRows, { ...range, limit }))
          : await takeTold(tx, await tx.all(toldRows, { ...range, limit }))
        const last = rows.at(-1)
        if (!last) await tx.run(endPlace, { name })
        else await tx.run(setPlace, { name, value: JSON.stringify([last.row.seq, range.through]) })
        return true
      }),
  }
}

async function rangeOf(tx: Tx, name: string): Promise<{ after: number; through: number } | null> {
  const row = await tx.get(place, { name })
  if (!row) return null
  const [after = 0, through = 0] = JSON.parse(row.value) as number[]
  return { after, through }
}

async function takeSent(tx: Tx, rows: WithFile<Message>[]): Promise<WithFile<Message>[]> {
  for (const { row, file } of rows) {
    const { id: messageId, identityId, deviceRowId, roomId, eventId, mediaId, replyTo, createdAt } = row
    if (eventId === null || roomId === null || row.act !== null || row.captionOf !== null) continue
    // It was erased.
    if (row.text === null && row.content === null && mediaId === null) continue
    const message: NewChatMessage = {
      ...{ identityId, deviceRowId, roomId, eventId, messageId, mediaId, replyTo },
      senderUserId: '',
      direction: 'out',
      kind: file ? kindOfFile(file.mimeType) : 'text',
      text: row.text ?? '',
      content: {
        event: 'message.received',
        type: file ? `m.${kindOfFile(file.mimeType)}` : 'm.text',
        media: file && mediaOf(file),
        location: null,
      },
      relatesTo: null,
      sentAt: createdAt,
    }
    await take(tx, message, createdAt)
  }
  return rows
}

async function takeTold(tx: Tx, rows: WithFile<EventRow>[]): Promise<WithFile<EventRow>[]> {
  for (const { row, file } of rows)
    if (isMessageEvent(row.payload)) await takeEvent(tx, row, row.payload, file)
  return rows
}

async function takeEvent(tx: Tx, row: EventRow, payload: MessageEvent, file: Media | null): Promise<void> {
  const { identityId, roomId, eventId, deviceRowId, mediaId, receivedAt } = row
  const { from: senderUserId, relates_to: relatesTo } = payload
  if (payload.kind === 'redaction') {
    if (relatesTo !== null) await eraseHistory(tx, { identityId, roomId, eventId: relatesTo }, receivedAt)
    return
  }
  if (payload.removed) {
    for (const taken of await tx.all(takenBack, { identityId, relatesTo, senderUserId }))
      await eraseHistory(tx, { identityId, roomId, eventId: taken.eventId }, receivedAt)
    return
  }
  const { event, type, kind, message: text, location, reply_to: replyTo, media: info } = payload
  const { poll, vote, call } = payload
  // It was deleted or erased before it could be taken in.
  if (text === '' && !info && !location && !poll && !vote && !call) return
  const message: NewChatMessage = {
    ...{ identityId, deviceRowId, roomId, eventId, senderUserId, mediaId, kind, text, replyTo, relatesTo },
    direction: event === 'message.own' ? 'out' : 'in',
    content: {
      ...{ event, type, location },
      media: info && { ...info, mxcUri: file?.mxcUri ?? '' },
      ...(poll ? { poll } : {}),
      ...(vote ? { vote } : {}),
      ...(call ? { call } : {}),
    },
    sentAt: Date.parse(payload.timestamp),
  }
  await take(tx, message, receivedAt)
}

/** Its age stays that of the row it comes from, for retention. */
async function take(tx: Tx, message: NewChatMessage, storedAt: number): Promise<void> {
  const { isNew } = await writeHistory(tx, message, storedAt)
  const { identityId, roomId, eventId, relatesTo, sentAt: at } = message
  if (!isNew || relatesTo !== null) return
  const edit = await tx.get(editedSince, { identityId, eventId })
  if (edit) await editHistory(tx, message, { ...edit, content: null })
  await noteActivity(tx, { identityId, roomId, at, cameIn: 0, hasWritten: false, isPast: true })
}

function kindOfFile(mimeType: string): MessageKind {
  return (['image', 'video', 'audio'] as const).find(kind => mimeType.startsWith(`${kind}/`)) ?? 'file'
}

function mediaOf(file: Media) {
  return {
    mxcUri: file.mxcUri ?? '',
    size: file.sizeBytes,
    mime_type: file.mimeType,
    width: file.width,
    height: file.height,
    blur_hash: file.blurHash,
    file_name: file.fileName,
    duration: file.durationMs,
  }
}
