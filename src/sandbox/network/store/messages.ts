/** Tables of messages, and of the messages on each phone. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { statementsOf } from '../../../lib/statements.ts'
import type { Chat, Content, Message, MessageType } from '../types.ts'
import type { MediaStore } from './media.ts'

interface MessageRow {
  seq: number
  id: string
  chat: string
  sender: string
  type: MessageType
  text: string
  media_id: string | null
  file_name: string | null
  reply_to: string | null
  target: string | null
  emoji: string | null
  latitude: number | null
  longitude: number | null
  edited_at: number | null
  deleted_at: number | null
  sent_at: number
}

const ON_PHONE = 'FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq WHERE i.phone = ?'
const IN_CHAT_ON_PHONE = `FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq AND i.phone = ?1
  WHERE m.chat = ?2`

export function createMessageStore(database: Database, files: Pick<MediaStore, 'addMedia' | 'media'>) {
  const { one, all, run } = statementsOf(database)
  const add = one<{ seq: number }, (string | number | null)[]>(
    `INSERT INTO sandbox_message (id, chat, sender, type, text, media_id, file_name, reply_to, target, emoji, latitude,
       longitude, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq`,
  )
  const addInbox = run<[string, number]>('INSERT INTO sandbox_inbox (phone, seq) VALUES (?, ?)')
  const byId = one<MessageRow, [string]>('SELECT * FROM sandbox_message WHERE id = ?')
  const bySeq = one<MessageRow, [number]>('SELECT * FROM sandbox_message WHERE seq = ?')
  const onPhone = one<{ seq: number }, [string, string]>(
    `SELECT m.seq FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq
     WHERE m.id = ? AND i.phone = ?`,
  )
  const edit = run<[string, number, string]>(
    'UPDATE sandbox_message SET text = ?, edited_at = ? WHERE id = ? AND deleted_at IS NULL',
  )
  const remove = run<[number, string]>(
    "UPDATE sandbox_message SET text = '', deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
  )
  const first = all<MessageRow, [string, number, number]>(
    `SELECT m.* ${ON_PHONE} AND i.seq > ? ORDER BY i.seq LIMIT ?`,
  )
  const beforeLast = one<{ seq: number }, [string, number]>(
    `SELECT m.seq ${ON_PHONE} ORDER BY i.seq DESC LIMIT 1 OFFSET ?`,
  )
  const beforeLastOfChat = one<{ seq: number }, [string, string, number]>(
    `SELECT m.seq ${IN_CHAT_ON_PHONE} ORDER BY m.seq DESC LIMIT 1 OFFSET ?3`,
  )
  const firstOfChat = all<MessageRow, [string, string, number, number]>(
    `SELECT m.* ${IN_CHAT_ON_PHONE} AND m.seq > ?3 ORDER BY m.seq LIMIT ?4`,
  )
  const lastOfChat = all<MessageRow, [string, string, number]>(
    `SELECT m.* ${IN_CHAT_ON_PHONE} ORDER BY m.seq DESC LIMIT ?3`,
  )
  const reactions = all<{ sender: string; emoji: string | null }, [string]>(
    "SELECT sender, emoji FROM sandbox_message WHERE target = ? AND type = 'reaction' AND deleted_at IS NULL ORDER BY seq",
  )
  const reactionBefore = one<{ id: string }, [string, string, number]>(
    `SELECT id FROM sandbox_message WHERE target = ? AND sender = ? AND type = 'reaction' AND seq < ?
     ORDER BY seq DESC LIMIT 1`,
  )
  const forgetEvents = run<[string]>('DELETE FROM sandbox_event WHERE message_id = ?')
  const forgetOnPhones = run<[number, string]>(
    'DELETE FROM sandbox_inbox WHERE seq = ? AND phone IN (SELECT phone FROM sandbox_member WHERE chat = ?)',
  )
  const forget = run<[number]>('DELETE FROM sandbox_message WHERE seq = ?')
  const usesMedia = one<{ seq: number }, [string, number]>(
    `SELECT seq FROM sandbox_message AS m WHERE media_id = ?
       AND (sent_at >= ? OR EXISTS (SELECT 1 FROM sandbox_delivery AS d WHERE d.seq = m.seq)) LIMIT 1`,
  )
  const pending = one<{ id: number }, [number]>('SELECT id FROM sandbox_delivery WHERE seq = ? LIMIT 1')

  function toMessage(row: MessageRow): Message {
    return {
      id: row.id,
      seq: row.seq,
      chatId: row.chat,
      sender: row.sender,
      type: row.type,
      text: row.text,
      media: row.media_id === null || row.deleted_at !== null ? undefined : files.media(row.media_id),
      fileName: row.file_name ?? undefined,
      replyTo: row.reply_to ?? undefined,
      target: row.target ?? undefined,
      emoji: row.emoji ?? undefined,
      latitude: row.latitude ?? undefined,
      longitude: row.longitude ?? undefined,
      sentAt: row.sent_at,
      editedAt: row.edited_at,
      deletedAt: row.deleted_at,
    }
  }
  const shown = (row: MessageRow | undefined) => row && toMessage(row)

  return {
    /** Stores a message and gives it to every phone of its chat. */
    addMessage(chat: Chat, sender: string, content: Content, now: number): Message {
      const id = newMessageId()
      const { type, text, media, fileName, replyTo, target, emoji, latitude, longitude } = content
      if (media) files.addMedia(media, now)
      const added = add(
        id,
        chat.id,
        sender,
        type,
        text,
        media?.id ?? null,
        fileName ?? null,
        replyTo ?? null,
        target ?? null,
        emoji ?? null,
        latitude ?? null,
        longitude ?? null,
        now,
      )
      if (!added) throw new Error('the message was not stored')
      const { seq } = added
      for (const phone of chat.members) addInbox(phone, seq)
      if (type === 'edit' && target) edit(text, now, target)
      if (type === 'delete' && target) remove(now, target)
      return { ...content, id, seq, chatId: chat.id, sender, sentAt: now, editedAt: null, deletedAt: null }
    },
    message: (messageId: string) => shown(byId(messageId)),
    messageAt: (seq: number) => shown(bySeq(seq)),
    /** @returns the message's position if the phone has it */
    positionOn: (phone: string, messageId: string) => onPhone(messageId, phone)?.seq,
    /** A phone's first `limit` messages after a position, oldest first. */
    messagesAfter: (phone: string, afterSeq: number, chatId: string | null, limit: number): Message[] =>
      (chatId === null ? first(phone, afterSeq, limit) : firstOfChat(phone, chatId, afterSeq, limit)).map(
        toMessage,
      ),
    /** Position after which a phone has its last `limit` messages. */
    beforeLast: (phone: string, chatId: string | null, limit: number): number =>
      (chatId === null ? beforeLast(phone, limit) : beforeLastOfChat(phone, chatId, limit))?.seq ?? 0,
    /** The last `limit` messages of a chat on a phone, oldest first. */
    lastMessages: (phone: string, chatId: string, limit: number): Message[] =>
      lastOfChat(phone, chatId, limit).reverse().map(toMessage),
    /** Next messages in the order they were sent. */
    aged: all<{ seq: number; id: string; chat: string; sent_at: number }, [afterSeq: number, limit: number]>(
      'SELECT seq, id, chat, sent_at FROM sandbox_message WHERE seq > ? ORDER BY seq LIMIT ?',
    ),
    /** Removes a message from the network and its phones, unless a room still waits for it. */
    forgetMessage({ seq, id, chat }: { seq: number; id: string; chat: string }): boolean {
      if (pending(seq)) return false
      forgetEvents(id)
      forgetOnPhones(seq, chat)
      forget(seq)
      return true
    },
    /** True when a message sent since then has the file, or a room still waits for one with it. */
    isMediaInUse: (mediaId: string, since: number): boolean => usesMedia(mediaId, since) !== undefined,
    /** Each phone's latest reaction to a message. */
    reactions(messageId: string): { from: string; emoji: string }[] {
      const latest = new Map<string, string>()
      for (const { sender, emoji } of reactions(messageId)) latest.set(sender, emoji ?? '')
      return [...latest].filter(([, emoji]) => emoji !== '').map(([from, emoji]) => ({ from, emoji }))
    },
    /** The reaction that a later one of the same phone replaces. */
    reactionBefore: (messageId: string, sender: string, seq: number) =>
      reactionBefore(messageId, sender, seq)?.id,
    /** True when a linked device doesn't have the message yet. */
    isPending: (seq: number): boolean => pending(seq) !== undefined,
  }
}

/** Like WhatsApp's ids: every client of that network makes its own. */
function newMessageId(): string {
  return `3EB0${randomBytes(9).toString('hex').toUpperCase()}`
}
