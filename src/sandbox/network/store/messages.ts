/** Tables of messages, of those on each phone, and of files, whose content a folder holds. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { statementsOf } from '../../../lib/statements.ts'
import { type Chat, type Content, isUnshown, type Media, type Message } from '../types.ts'

/** Few messages have these, which share a column. */
type Detailed = 'poll' | 'options' | 'isVideo' | 'change' | 'html' | 'mentions' | 'isWithoutPreview'
type MessageRow = Omit<Message, 'media' | Detailed> & { mediaId: string | null; details: string | null }

/** A file's place by age. */
export interface MediaAge {
  id: string
  createdAt: number
}

const MEDIA = `SELECT id, name, mime_type AS mimeType, size AS sizeBytes, width, height, blurhash,
  duration_ms AS durationMs, mxc FROM sandbox_media`
const MESSAGES = `SELECT m.seq, m.id, m.chat AS chatId, m.sender, m.type, m.text, m.media_id AS mediaId,
  m.file_name AS fileName, m.reply_to AS replyTo, m.target, m.emoji, m.latitude, m.longitude, m.details,
  m.sent_at AS sentAt, m.edited_at AS editedAt, m.deleted_at AS deletedAt`
const ON_PHONE = 'FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq WHERE i.phone = ?'
const IN_CHAT_ON_PHONE = `FROM sandbox_message AS m JOIN sandbox_inbox AS i ON i.seq = m.seq AND i.phone = ?1
  WHERE m.chat = ?2`

export function createMessageStore(database: Database) {
  const { one, value, values, has, all, run } = statementsOf(database)
  const media = one<Media, [mediaId: string]>(`${MEDIA} WHERE id = ?`)
  const addMedia = run<[Media & { now: number }]>(
    `INSERT OR IGNORE INTO sandbox_media (id, name, mime_type, size, width, height, blurhash, duration_ms, mxc, created_at)
     VALUES ($id, $name, $mimeType, $sizeBytes, $width, $height, $blurhash, $durationMs, $mxc, $now)`,
  )
  const add = value<number, [Omit<MessageRow, 'seq' | 'editedAt' | 'deletedAt'>]>(
    `INSERT INTO sandbox_message (id, chat, sender, type, text, media_id, file_name, reply_to, target, emoji, latitude,
       longitude, details, sent_at)
     VALUES ($id, $chatId, $sender, $type, $text, $mediaId, $fileName, $replyTo, $target, $emoji, $latitude,
       $longitude, $details, $sentAt) RETURNING seq`,
  )
  const putRead = run<[string, string, number]>(
    `INSERT INTO sandbox_read (chat, phone, seq) VALUES (?, ?, ?)
     ON CONFLICT (chat, phone) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq`,
  )
  const unread = value<number, [string, string]>(
    `SELECT count(*) FROM (SELECT 1 ${IN_CHAT_ON_PHONE} AND m.sender <> ?1
       AND m.type NOT IN ('reaction', 'edit', 'delete', 'vote')
       AND m.seq > coalesce((SELECT seq FROM sandbox_read WHERE chat = ?2 AND phone = ?1), 0) LIMIT 1000)`,
  )
  const addInbox = run<[string, number]>('INSERT INTO sandbox_inbox (phone, seq) VALUES (?, ?)')
  const byId = one<MessageRow, [string]>(`${MESSAGES} FROM sandbox_message AS m WHERE m.id = ?`)
  const bySeq = one<MessageRow, [number]>(`${MESSAGES} FROM sandbox_message AS m WHERE m.seq = ?`)
  const edit = run<[string, string, number, string]>(
    `UPDATE sandbox_message SET text = ?, details = nullif(json_patch(coalesce(details, '{}'), ?), '{}'), edited_at = ?
     WHERE id = ? AND deleted_at IS NULL`,
  )
  const remove = run<[number, string]>(
    "UPDATE sandbox_message SET text = '', details = NULL, deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
  )
  const first = all<MessageRow, [string, number, number]>(
    `${MESSAGES} ${ON_PHONE} AND i.seq > ? ORDER BY i.seq LIMIT ?`,
  )
  const firstOfChat = all<MessageRow, [string, string, number, number]>(
    `${MESSAGES} ${IN_CHAT_ON_PHONE} AND m.seq > ?3 ORDER BY m.seq LIMIT ?4`,
  )
  const beforeLast = value<number, [string, number]>(
    `SELECT m.seq ${ON_PHONE} ORDER BY i.seq DESC LIMIT 1 OFFSET ?`,
  )
  const beforeLastOfChat = value<number, [string, string, number]>(
    `SELECT m.seq ${IN_CHAT_ON_PHONE} ORDER BY m.seq DESC LIMIT 1 OFFSET ?3`,
  )
  const lastOfChat = all<MessageRow, [string, string, number]>(
    `${MESSAGES} ${IN_CHAT_ON_PHONE} ORDER BY m.seq DESC LIMIT ?3`,
  )
  const beforeInChat = all<MessageRow, [string, string, number, number]>(
    `${MESSAGES} ${IN_CHAT_ON_PHONE} AND m.seq < ?3 ORDER BY m.seq DESC LIMIT ?4`,
  )
  const reactions = all<{ sender: string; emoji: string | null }, [string]>(
    "SELECT sender, emoji FROM sandbox_message WHERE target = ? AND type = 'reaction' AND deleted_at IS NULL ORDER BY seq",
  )
  const votes = all<{ sender: string; details: string }, [string]>(
    "SELECT sender, details FROM sandbox_message WHERE target = ? AND type = 'vote' ORDER BY seq",
  )
  const forgetEvents = run<[string]>('DELETE FROM sandbox_event WHERE message_id = ?')
  const forgetOnPhones = run<[number, string]>(
    'DELETE FROM sandbox_inbox WHERE seq = ? AND phone IN (SELECT phone FROM sandbox_member WHERE chat = ?)',
  )
  const forget = run<[number]>('DELETE FROM sandbox_message WHERE seq = ?')

  function toMessage(row: MessageRow): Message {
    const { mediaId, deletedAt, details } = row
    return {
      ...row,
      ...(details === null ? {} : (JSON.parse(details) as Pick<Content, Detailed>)),
      media: mediaId === null || deletedAt !== null ? undefined : media(mediaId),
    }
  }
  const shown = (row: MessageRow | undefined) => row && toMessage(row)

  const api = {
    media,
    addMedia: (file: Media, now: number): void => void addMedia({ ...file, now }),
    mediaByMxc: one<Media, [mxc: string]>(`${MEDIA} WHERE mxc = ?`),
    /** Files after the one at which the last step ended, by age. */
    mediaOlderThan: all<MediaAge, [MediaAge & { before: number; limit: number }]>(
      `SELECT id, created_at AS createdAt FROM sandbox_media
       WHERE created_at < $before AND (created_at, id) > ($createdAt, $id) ORDER BY created_at, id LIMIT $limit`,
    ),
    forgetMedia: run<[mediaId: string]>('DELETE FROM sandbox_media WHERE id = ?'),
    setMxc: run<[mxc: string, mediaId: string]>('UPDATE OR IGNORE sandbox_media SET mxc = ? WHERE id = ?'),
    /** Stores a message and gives it to every phone of its chat, if phones show it. */
    addMessage(chat: Chat, sender: string, content: Content, now: number): Message {
      const { type, text, media, fileName, replyTo, target, emoji, latitude, longitude } = content
      const details = detailsOf(content)
      if (media) addMedia({ ...media, now })
      const about = { fileName, replyTo, target, emoji, latitude, longitude }
      const row = { id: newMessageId(), chatId: chat.id, sender, type, text, sentAt: now }
      const seq = add({ ...row, ...about, details, mediaId: media?.id ?? null }) as number
      if (!isUnshown(type)) for (const phone of chat.members) addInbox(phone, seq)
      if (type === 'edit' && target) edit(text, formattingOf(content), now, target)
      if (type === 'delete' && target) remove(now, target)
      return { ...content, ...row, seq, editedAt: null, deletedAt: null }
    },
    message: (messageId: string) => shown(byId(messageId)),
    /** How often the message was edited. */
    editsOf: value<number, [messageId: string]>(
      "SELECT count(*) FROM sandbox_message WHERE target = ? AND type = 'edit'",
    ),
    messageAt: (seq: number) => shown(bySeq(seq)),
    /** The message's position if the phone has it. */
    positionOn: value<number, [phone: string, messageId: string]>(`SELECT m.seq ${ON_PHONE} AND m.id = ?`),
    /** A phone's first `limit` messages after a position, oldest first. */
    messagesAfter: (phone: string, afterSeq: number, chatId: string | null, limit: number): Message[] =>
      (chatId === null ? first(phone, afterSeq, limit) : firstOfChat(phone, chatId, afterSeq, limit)).map(
        toMessage,
      ),
    /** Position after which a phone has its last `limit` messages. */
    beforeLast: (phone: string, chatId: string | null, limit: number): number =>
      (chatId === null ? beforeLast(phone, limit) : beforeLastOfChat(phone, chatId, limit)) ?? 0,
    /** The last `limit` messages of a chat on a phone, oldest first. */
    lastMessages: (phone: string, chatId: string, limit: number): Message[] =>
      lastOfChat(phone, chatId, limit).reverse().map(toMessage),
    /** The last `limit` messages of a chat on a phone before a position, oldest first. */
    messagesBefore: (phone: string, chatId: string, beforeSeq: number, limit: number): Message[] =>
      beforeInChat(phone, chatId, beforeSeq, limit).reverse().map(toMessage),
    /** Next messages in the order they were sent. */
    aged: all<{ seq: number; id: string; chat: string; sent_at: number }, [afterSeq: number, limit: number]>(
      'SELECT seq, id, chat, sent_at FROM sandbox_message WHERE seq > ? ORDER BY seq LIMIT ?',
    ),
    /** Removes a message from the network and its phones, unless a room still waits for it. */
    forgetMessage({ seq, id, chat }: { seq: number; id: string; chat: string }): boolean {
      if (api.isPending(seq)) return false
      forgetEvents(id)
      forgetOnPhones(seq, chat)
      forget(seq)
      return true
    },
    /** True while a picture, an undelivered message or one sent since then has the file. */
    isMediaInUse: has<[mediaId: string, since: number]>(
      `SELECT 1 FROM sandbox_message AS m WHERE media_id = ?1
         AND (sent_at >= ?2 OR EXISTS (SELECT 1 FROM sandbox_delivery AS d WHERE d.seq = m.seq))
       UNION ALL SELECT 1 FROM sandbox_chat WHERE avatar = ?1
       UNION ALL SELECT 1 FROM sandbox_phone WHERE avatar = ?1 LIMIT 1`,
    ),
    /** Each phone's latest reaction to a message. */
    reactions(messageId: string): { from: string; emoji: string }[] {
      const latest = new Map<string, string>()
      for (const { sender, emoji } of reactions(messageId)) latest.set(sender, emoji ?? '')
      return [...latest].filter(([, emoji]) => emoji !== '').map(([from, emoji]) => ({ from, emoji }))
    },
    /** Each phone's latest vote on a poll, without those that were taken back. */
    votes(messageId: string): { from: string; options: readonly string[] }[] {
      const latest = new Map<string, readonly string[]>()
      for (const { sender, details } of votes(messageId))
        latest.set(sender, (JSON.parse(details) as Pick<Content, Detailed>).options ?? [])
      return [...latest]
        .filter(([, options]) => options.length > 0)
        .map(([from, options]) => ({ from, options }))
    },
    /** Records how far a phone has read a chat. @returns false if it had read as far */
    putRead: (chatId: string, phone: string, seq: number): boolean => putRead(chatId, phone, seq) > 0,
    /** Position up to which a phone has read a chat. */
    readUpTo: value<number, [chatId: string, phone: string]>(
      'SELECT seq FROM sandbox_read WHERE chat = ? AND phone = ?',
    ),
    /** How many messages of others a phone has not read in a chat; 1,000 are counted at most. */
    unread: (phone: string, chatId: string): number => unread(phone, chatId) ?? 0,
    /** Phones that have read a chat up to a position. */
    readers: values<string, [chatId: string, seq: number]>(
      'SELECT phone FROM sandbox_read WHERE chat = ? AND seq >= ? ORDER BY phone',
    ),
    /** The reaction that a later one of the same phone replaces. */
    reactionBefore: value<string, [messageId: string, sender: string, seq: number]>(
      `SELECT id FROM sandbox_message WHERE target = ? AND sender = ? AND type = 'reaction' AND seq < ?
       ORDER BY seq DESC LIMIT 1`,
    ),
    /** True when a linked device doesn't have the message yet. */
    isPending: has<[seq: number]>('SELECT 1 FROM sandbox_delivery WHERE seq = ? LIMIT 1'),
  }
  return api
}

function detailsOf(content: Content): string | null {
  const { poll, options, isVideo, change, html, mentions, isWithoutPreview } = content
  const details = JSON.stringify({ poll, options, isVideo, change, html, mentions, isWithoutPreview })
  return details === '{}' ? null : details
}

/** An edit removes the formatting that it leaves out. */
function formattingOf({ html = null, mentions = null }: { html?: unknown; mentions?: unknown }): string {
  return JSON.stringify({ html, mentions })
}

/** Like WhatsApp's ids: every client of that network makes its own. */
function newMessageId(): string {
  return `3EB0${randomBytes(9).toString('hex').toUpperCase()}`
}
