/** Tables of messages, and of the messages on each phone. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import type { Chat, Content, Message, MessageType, ShownMessage } from '../types.ts'
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

export function createMessageStore(database: Database, files: Pick<MediaStore, 'addMedia' | 'media'>) {
  const sql = {
    addMessage: database.query(
      `INSERT INTO sandbox_message (id, chat, sender, type, text, media_id, file_name, reply_to, target, emoji, latitude,
         longitude, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addInbox: database.query('INSERT INTO sandbox_inbox (phone, seq) VALUES (?, ?)'),
    message: database.query<MessageRow, [string]>('SELECT * FROM sandbox_message WHERE id = ?'),
    messageAt: database.query<MessageRow, [number]>('SELECT * FROM sandbox_message WHERE seq = ?'),
    hasMessage: database.query<{ seq: number }, [string, string]>(
      `SELECT m.seq FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq
       WHERE m.id = ? AND i.phone = ?`,
    ),
    editMessage: database.query(
      'UPDATE sandbox_message SET text = ?, edited_at = ? WHERE id = ? AND deleted_at IS NULL',
    ),
    deleteMessage: database.query(
      "UPDATE sandbox_message SET text = '', deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
    ),
    firstMessages: database.query<MessageRow, [string, number, number]>(
      `SELECT m.* FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq
       WHERE i.phone = ? AND i.seq > ? ORDER BY i.seq LIMIT ?`,
    ),
    beforeLast: database.query<{ seq: number }, [string, number]>(
      `SELECT m.seq FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq
       WHERE i.phone = ? ORDER BY i.seq DESC LIMIT 1 OFFSET ?`,
    ),
    beforeLastOfChat: database.query<{ seq: number }, [string, string, number]>(
      `SELECT m.seq FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq AND i.phone = ?1
       WHERE m.chat = ?2 ORDER BY m.seq DESC LIMIT 1 OFFSET ?3`,
    ),
    firstOfChat: database.query<MessageRow, [string, number, string, number]>(
      `SELECT m.* FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq AND i.phone = ?1
       WHERE m.chat = ?3 AND m.seq > ?2 ORDER BY m.seq LIMIT ?4`,
    ),
    lastOfChat: database.query<MessageRow, [string, string, number]>(
      `SELECT m.* FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq AND i.phone = ?1
       WHERE m.chat = ?2 ORDER BY m.seq DESC LIMIT ?3`,
    ),
    reactions: database.query<{ sender: string; emoji: string | null }, [string]>(
      "SELECT sender, emoji FROM sandbox_message WHERE target = ? AND type = 'reaction' AND deleted_at IS NULL ORDER BY seq",
    ),
    reactionBefore: database.query<{ id: string }, [string, string, number]>(
      `SELECT id FROM sandbox_message WHERE target = ? AND sender = ? AND type = 'reaction' AND seq < ?
       ORDER BY seq DESC LIMIT 1`,
    ),
    aged: database.query<{ seq: number; id: string; chat: string; sent_at: number }, [number, number]>(
      'SELECT seq, id, chat, sent_at FROM sandbox_message WHERE seq > ? ORDER BY seq LIMIT ?',
    ),
    forgetEvents: database.query('DELETE FROM sandbox_event WHERE message_id = ?'),
    forgetOnPhones: database.query(
      'DELETE FROM sandbox_inbox WHERE seq = ? AND phone IN (SELECT phone FROM sandbox_member WHERE chat = ?)',
    ),
    forget: database.query('DELETE FROM sandbox_message WHERE seq = ?'),
    usesMedia: database.query<{ seq: number }, [string, number]>(
      `SELECT seq FROM sandbox_message AS m WHERE media_id = ?
         AND (sent_at >= ? OR EXISTS (SELECT 1 FROM sandbox_delivery AS d WHERE d.seq = m.seq)) LIMIT 1`,
    ),
    isPending: database.query<{ id: number }, [number]>(
      'SELECT id FROM sandbox_delivery WHERE seq = ? LIMIT 1',
    ),
  }

  function toMessage(row: MessageRow): Message {
    const media = row.media_id === null || row.deleted_at !== null ? null : files.media(row.media_id)
    return {
      id: row.id,
      seq: row.seq,
      chatId: row.chat,
      sender: row.sender,
      type: row.type,
      text: row.text,
      media: media ?? undefined,
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

  const api = {
    /** Stores a message and gives it to every phone of its chat. */
    addMessage(chat: Chat, sender: string, content: Content, now: number): Message {
      const id = newMessageId()
      const { media } = content
      if (media) files.addMedia(media, now)
      const { lastInsertRowid } = sql.addMessage.run(
        id,
        chat.id,
        sender,
        content.type,
        content.text,
        media?.id ?? null,
        content.fileName ?? null,
        content.replyTo ?? null,
        content.target ?? null,
        content.emoji ?? null,
        content.latitude ?? null,
        content.longitude ?? null,
        now,
      )
      const seq = Number(lastInsertRowid)
      for (const phone of chat.members) sql.addInbox.run(phone, seq)
      if (content.type === 'edit' && content.target) sql.editMessage.run(content.text, now, content.target)
      if (content.type === 'delete' && content.target) sql.deleteMessage.run(now, content.target)
      return { ...content, id, seq, chatId: chat.id, sender, sentAt: now, editedAt: null, deletedAt: null }
    },
    message(messageId: string): Message | null {
      const row = sql.message.get(messageId)
      return row && toMessage(row)
    },
    messageAt(seq: number): Message | null {
      const row = sql.messageAt.get(seq)
      return row && toMessage(row)
    },
    /** @returns the message's position if the phone has it */
    positionOn: (phone: string, messageId: string): number | null =>
      sql.hasMessage.get(messageId, phone)?.seq ?? null,
    /** A phone's first `limit` messages after a position, oldest first. */
    messagesAfter: (phone: string, afterSeq: number, chatId: string | null, limit: number): Message[] =>
      (chatId === null
        ? sql.firstMessages.all(phone, afterSeq, limit)
        : sql.firstOfChat.all(phone, afterSeq, chatId, limit)
      ).map(toMessage),
    /** Position after which a phone has its last `limit` messages. */
    beforeLast: (phone: string, chatId: string | null, limit: number): number =>
      (chatId === null ? sql.beforeLast.get(phone, limit) : sql.beforeLastOfChat.get(phone, chatId, limit))
        ?.seq ?? 0,
    /** The last `limit` messages of a chat on a phone, oldest first. */
    lastMessages: (phone: string, chatId: string, limit: number): Message[] =>
      sql.lastOfChat.all(phone, chatId, limit).reverse().map(toMessage),
    /** Next messages in the order they were sent. */
    aged: (afterSeq: number, limit: number) => sql.aged.all(afterSeq, limit),
    /** Removes a message from the network and its phones, unless a room still waits for it. */
    forgetMessage({ seq, id, chat }: { seq: number; id: string; chat: string }): boolean {
      if (sql.isPending.get(seq) !== null) return false
      sql.forgetEvents.run(id)
      sql.forgetOnPhones.run(seq, chat)
      sql.forget.run(seq)
      return true
    },
    /** True when a message sent since then has the file, or a room still waits for one with it. */
    isMediaInUse: (mediaId: string, since: number): boolean => sql.usesMedia.get(mediaId, since) !== null,
    /** Each phone's latest reaction to a message. */
    reactions(messageId: string): { from: string; emoji: string }[] {
      const latest = new Map<string, string>()
      for (const { sender, emoji } of sql.reactions.all(messageId)) latest.set(sender, emoji ?? '')
      return [...latest].filter(([, emoji]) => emoji !== '').map(([from, emoji]) => ({ from, emoji }))
    },
    /** The reaction that a later one of the same phone replaces. */
    reactionBefore: (messageId: string, sender: string, seq: number): string | null =>
      sql.reactionBefore.get(messageId, sender, seq)?.id ?? null,
    shown(message: Message, chat: Chat): ShownMessage {
      return {
        ...message,
        platform: chat.platform,
        group: chat.group,
        members: chat.members,
        reactions: api.reactions(message.id),
        pending: sql.isPending.get(message.seq) !== null,
      }
    },
  }
  return api
}

/** Like WhatsApp's ids: every client of that network makes its own. */
function newMessageId(): string {
  return `3EB0${randomBytes(9).toString('hex').toUpperCase()}`
}
