/** Writes what was sent from here to the history, once the homeserver has it. */
import type { Message } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import type { MessageContent } from '../../domain/facts.ts'
import { noteActivity } from './activity-repository.ts'
import { forgetSentHistory, writeHistory } from './history-repository.ts'

export interface SentAt {
  eventId: string
  roomId: string
  /** The message as others read it; absent for a text. */
  said?: MessageContent | null | undefined
}

/** @param message one whose event the homeserver has taken just now */
export async function writeSent(
  tx: Tx,
  message: Message,
  { eventId, roomId, said }: SentAt,
  now: number,
): Promise<void> {
  const { id: messageId, identityId, deviceRowId, mediaId, replyTo } = message
  const { kind, message: body, relatesTo, ...content } = said ?? textContent(message)
  if (message.resends > 0) await forgetSentHistory(tx, messageId)
  const format = message.content?.format
  const row = {
    ...{ identityId, deviceRowId, eventId, roomId, messageId, mediaId, kind, replyTo, relatesTo },
    content: { ...content, ...(format ? { format } : {}) },
    // A caption may have gone behind its file.
    text: message.text ?? body,
    senderUserId: '',
    direction: 'out' as const,
    sentAt: now,
  }
  await writeHistory(tx, row, now)
  await noteActivity(tx, { identityId, roomId, at: now, cameIn: 0, hasWritten: true, isPast: false })
}

function textContent({ text, replyTo }: Message): MessageContent {
  const absent = { relatesTo: null, media: null, location: null }
  return { event: 'message.received', kind: 'text', type: 'm.text', message: text ?? '', replyTo, ...absent }
}
