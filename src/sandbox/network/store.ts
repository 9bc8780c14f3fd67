/** The network's tables. Every method is synchronous: writes run inside `committer.write()`, reads anywhere. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { type PlatformFacts, platformFacts, SANDBOX_PLATFORMS, type SandboxPlatform } from '../platforms.ts'
import { directChatId, directChatPhones, groupChatId } from './chat-ids.ts'
import { generatedName } from './phone-number.ts'
import type {
  Chat,
  Contact,
  Content,
  Delivery,
  Group,
  Login,
  Media,
  Message,
  MessageType,
  Origin,
  Phone,
  ShownMessage,
} from './types.ts'

interface PhoneRow {
  phone: string
  name: string
  echo: number
  platforms: string
  two_factor: string | null
}

interface ChatRow {
  id: string
  platform: SandboxPlatform
  group_id: string | null
  name: string | null
  invite_code: string | null
}

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

interface MediaRow {
  id: string
  name: string
  mime_type: string
  size: number
  width: number | null
  height: number | null
  blurhash: string | null
  duration_ms: number | null
  mxc: string | null
}

interface LoginRow {
  platform: SandboxPlatform
  id: string
  phone: string
  user_id: string
  linked_at: number
}

interface DeliveryRow {
  id: number
  platform: SandboxPlatform
  login_id: string
  chat: string
  seq: number
  backfill: number
}

export type NetworkStore = ReturnType<typeof createNetworkStore>

export function createNetworkStore(database: Database) {
  const sql = {
    setting: database.query<{ value: string }, [string]>('SELECT value FROM sandbox_setting WHERE name = ?'),
    putSetting: database.query('INSERT OR REPLACE INTO sandbox_setting (name, value) VALUES (?, ?)'),
    phone: database.query<PhoneRow, [string]>('SELECT * FROM sandbox_phone WHERE phone = ?'),
    phones: database.query<PhoneRow, []>('SELECT * FROM sandbox_phone ORDER BY created_at, phone'),
    addPhone: database.query(
      'INSERT OR IGNORE INTO sandbox_phone (phone, name, echo, platforms, created_at) VALUES (?, ?, 1, ?, ?)',
    ),
    putPhone: database.query(
      `INSERT INTO sandbox_phone (phone, name, echo, platforms, two_factor, created_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (phone) DO UPDATE SET name = excluded.name, echo = excluded.echo, platforms = excluded.platforms,
         two_factor = excluded.two_factor`,
    ),
    putContact: database.query(
      'INSERT OR REPLACE INTO sandbox_contact (phone, contact, name) VALUES (?, ?, ?)',
    ),
    contacts: database.query<Contact, [string]>(
      'SELECT contact AS phone, name FROM sandbox_contact WHERE phone = ? ORDER BY name, contact',
    ),
    contact: database.query<{ name: string }, [string, string]>(
      'SELECT name FROM sandbox_contact WHERE phone = ? AND contact = ?',
    ),
    chat: database.query<ChatRow, [string]>('SELECT * FROM sandbox_chat WHERE id = ?'),
    chatByInvite: database.query<ChatRow, [string, string]>(
      'SELECT * FROM sandbox_chat WHERE platform = ? AND invite_code = ?',
    ),
    groups: database.query<ChatRow, []>(
      "SELECT * FROM sandbox_chat WHERE kind = 'group' ORDER BY created_at, id",
    ),
    chatsOfPhone: database.query<ChatRow, [string]>(
      'SELECT c.* FROM sandbox_member AS m JOIN sandbox_chat AS c ON c.id = m.chat WHERE m.phone = ?',
    ),
    addChat: database.query(
      `INSERT OR IGNORE INTO sandbox_chat (id, platform, kind, group_id, name, invite_code, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    members: database.query<{ phone: string }, [string]>(
      'SELECT phone FROM sandbox_member WHERE chat = ? ORDER BY phone',
    ),
    addMember: database.query('INSERT OR IGNORE INTO sandbox_member (chat, phone) VALUES (?, ?)'),
    isMember: database.query<{ phone: string }, [string, string]>(
      'SELECT phone FROM sandbox_member WHERE chat = ? AND phone = ?',
    ),
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
    firstMessages: database.query<MessageRow, [string, number, string | null, number]>(
      `SELECT m.* FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq
       WHERE i.phone = ?1 AND i.seq > ?2 AND (?3 IS NULL OR m.chat = ?3) ORDER BY i.seq LIMIT ?4`,
    ),
    lastMessages: database.query<MessageRow, [string, string | null, number]>(
      `SELECT m.* FROM sandbox_inbox AS i JOIN sandbox_message AS m ON m.seq = i.seq
       WHERE i.phone = ?1 AND (?2 IS NULL OR m.chat = ?2) ORDER BY i.seq DESC LIMIT ?3`,
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
    isPending: database.query<{ id: number }, [number]>(
      'SELECT id FROM sandbox_delivery WHERE seq = ? LIMIT 1',
    ),
    addMedia: database.query(
      `INSERT OR IGNORE INTO sandbox_media (id, name, mime_type, size, width, height, blurhash, duration_ms, mxc, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    media: database.query<MediaRow, [string]>('SELECT * FROM sandbox_media WHERE id = ?'),
    mediaByMxc: database.query<MediaRow, [string]>('SELECT * FROM sandbox_media WHERE mxc = ?'),
    setMxc: database.query('UPDATE OR IGNORE sandbox_media SET mxc = ? WHERE id = ?'),
    login: database.query<LoginRow, [string, string]>(
      'SELECT * FROM sandbox_login WHERE platform = ? AND id = ?',
    ),
    logins: database.query<LoginRow, []>('SELECT * FROM sandbox_login ORDER BY linked_at, id'),
    loginsOfUser: database.query<LoginRow, [string, string]>(
      'SELECT * FROM sandbox_login WHERE platform = ? AND user_id = ? ORDER BY linked_at, id',
    ),
    putLogin: database.query(
      `INSERT INTO sandbox_login (platform, id, phone, user_id, linked_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (platform, id) DO UPDATE SET user_id = excluded.user_id, linked_at = excluded.linked_at`,
    ),
    dropLogin: database.query('DELETE FROM sandbox_login WHERE platform = ? AND id = ?'),
    dropDeliveries: database.query('DELETE FROM sandbox_delivery WHERE platform = ? AND login_id = ?'),
    addDelivery: database.query(
      'INSERT OR IGNORE INTO sandbox_delivery (platform, login_id, chat, seq, backfill) VALUES (?, ?, ?, ?, ?)',
    ),
    delivery: database.query<DeliveryRow, [number, string]>(
      'SELECT * FROM sandbox_delivery WHERE seq = ? AND login_id = ?',
    ),
    deliveries: database.query<DeliveryRow, [string]>(
      'SELECT * FROM sandbox_delivery WHERE platform = ? ORDER BY id',
    ),
    settleDelivery: database.query('DELETE FROM sandbox_delivery WHERE id = ?'),
    isInPortal: database.query<{ event_id: string }, [string, string, string]>(
      `SELECT e.event_id FROM sandbox_portal AS p
       JOIN sandbox_event AS e ON e.room_id = p.room_id AND e.message_id = ?
       WHERE p.login_id = ? AND p.chat = ? LIMIT 1`,
    ),
    dropForeignPortals: database.query(
      'DELETE FROM sandbox_portal WHERE platform = ? AND login_id = ? AND user_id <> ?',
    ),
    addEvent: database.query(
      'INSERT OR IGNORE INTO sandbox_event (event_id, room_id, message_id) VALUES (?, ?, ?)',
    ),
    messageOfEvent: database.query<{ message_id: string }, [string]>(
      'SELECT message_id FROM sandbox_event WHERE event_id = ?',
    ),
    eventOfMessage: database.query<{ event_id: string }, [string, string]>(
      'SELECT event_id FROM sandbox_event WHERE message_id = ? AND room_id = ? LIMIT 1',
    ),
  }

  function toChat(row: ChatRow): Chat {
    const phones = directChatPhones(row.id)
    const group: Group | null =
      row.group_id === null
        ? null
        : { groupId: row.group_id, name: row.name ?? row.group_id, inviteCode: row.invite_code ?? '' }
    const members = phones ? [...new Set(phones)] : sql.members.all(row.id).map(member => member.phone)
    return { id: row.id, platform: row.platform, group, members }
  }

  function toMessage(row: MessageRow): Message {
    const media = row.media_id === null || row.deleted_at !== null ? null : sql.media.get(row.media_id)
    return {
      id: row.id,
      seq: row.seq,
      chatId: row.chat,
      sender: row.sender,
      type: row.type,
      text: row.text,
      media: media ? toMedia(media) : undefined,
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
    setting: (name: string): string | null => sql.setting.get(name)?.value ?? null,
    putSetting: (name: string, value: string): void => void sql.putSetting.run(name, value),

    /** @returns the phone as stored, or as it would be created; whether it exists on the network is not asked here */
    phone(phone: string): Phone {
      const row = sql.phone.get(phone)
      if (row) return toPhone(row)
      return { phone, name: generatedName(phone), echo: true, platforms: SANDBOX_PLATFORMS, twoFactor: null }
    },
    hasPhone: (phone: string): boolean => sql.phone.get(phone) !== null,
    phones: (): Phone[] => sql.phones.all().map(toPhone),
    addPhone: (phone: string, now: number): void =>
      void sql.addPhone.run(phone, generatedName(phone), JSON.stringify(SANDBOX_PLATFORMS), now),
    putPhone: (phone: Phone, now: number): void =>
      void sql.putPhone.run(
        phone.phone,
        phone.name,
        phone.echo ? 1 : 0,
        JSON.stringify(phone.platforms),
        phone.twoFactor,
        now,
      ),
    putContact: (phone: string, contact: Contact): void =>
      void sql.putContact.run(phone, contact.phone, contact.name),
    contacts: (phone: string): Contact[] => sql.contacts.all(phone),
    /** The name which `contact` has in the address book of `phone`. */
    contactName: (phone: string, contact: string): string | null =>
      sql.contact.get(phone, contact)?.name ?? null,

    chat(chatId: string): Chat | null {
      const row = sql.chat.get(chatId)
      return row && toChat(row)
    },
    chatByInvite(platform: SandboxPlatform, inviteCode: string): Chat | null {
      const row = sql.chatByInvite.get(platform, inviteCode)
      return row && toChat(row)
    },
    groups: (): Chat[] => sql.groups.all().map(toChat),
    chatsOfPhone: (phone: string): Chat[] => sql.chatsOfPhone.all(phone).map(toChat),
    /** Makes sure of the direct chat and of both its phones. Writes: first see whether `chat` has it. */
    ensureDirectChat(platform: SandboxPlatform, one: string, other: string, now: number): Chat {
      const id = directChatId(platform, one, other)
      if (sql.addChat.run(id, platform, 'dm', null, null, null, now).changes > 0) {
        for (const phone of new Set([one, other])) {
          api.addPhone(phone, now)
          sql.addMember.run(id, phone)
        }
      }
      return { id, platform, group: null, members: [...new Set([one, other])] }
    },
    addGroup(platform: SandboxPlatform, group: Group, members: readonly string[], now: number): Chat {
      const id = groupChatId(platform, group.groupId)
      sql.addChat.run(id, platform, 'group', group.groupId, group.name, group.inviteCode, now)
      for (const phone of members) api.addMember(id, phone, now)
      return { id, platform, group, members: [...new Set(members)].sort() }
    },
    addMember(chatId: string, phone: string, now: number): void {
      api.addPhone(phone, now)
      sql.addMember.run(chatId, phone)
    },
    isMember: (chatId: string, phone: string): boolean => sql.isMember.get(chatId, phone) !== null,

    /** Stores a message and gives it to every phone of its chat. */
    addMessage(chat: Chat, sender: string, content: Content, now: number): Message {
      const id = newMessageId()
      const { media } = content
      if (media) api.addMedia(media, now)
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
    /** @returns the message's position when the phone has it */
    positionOn: (phone: string, messageId: string): number | null =>
      sql.hasMessage.get(messageId, phone)?.seq ?? null,
    /** The first `limit` messages of a phone after a position, oldest first. */
    messagesAfter: (phone: string, afterSeq: number, chatId: string | null, limit: number): Message[] =>
      sql.firstMessages.all(phone, afterSeq, chatId, limit).map(toMessage),
    /** The last `limit` messages of a phone, oldest first. */
    lastMessages: (phone: string, chatId: string | null, limit: number): Message[] =>
      (chatId === null ? sql.lastMessages.all(phone, null, limit) : sql.lastOfChat.all(phone, chatId, limit))
        .reverse()
        .map(toMessage),
    /** Each phone's latest reaction to a message. */
    reactions(messageId: string): { from: string; emoji: string }[] {
      const latest = new Map<string, string>()
      for (const { sender, emoji } of sql.reactions.all(messageId)) latest.set(sender, emoji ?? '')
      return [...latest].filter(([, emoji]) => emoji !== '').map(([from, emoji]) => ({ from, emoji }))
    },
    /** The reaction that a later one of the same phone takes the place of. */
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

    addMedia: (media: Media, now: number): void =>
      void sql.addMedia.run(
        media.id,
        media.name,
        media.mimeType,
        media.sizeBytes,
        media.width,
        media.height,
        media.blurhash,
        media.durationMs,
        media.mxc,
        now,
      ),
    media(mediaId: string): Media | null {
      const row = sql.media.get(mediaId)
      return row && toMedia(row)
    },
    mediaByMxc(mxc: string): Media | null {
      const row = sql.mediaByMxc.get(mxc)
      return row && toMedia(row)
    },
    setMxc: (mediaId: string, mxc: string): void => void sql.setMxc.run(mxc, mediaId),

    login(platform: SandboxPlatform, loginId: string): Login | null {
      const row = sql.login.get(platform, loginId)
      return row && toLogin(row)
    },
    /** The login of a phone: an account is linked at most once on a platform. */
    loginOfPhone: (facts: PlatformFacts, phone: string): Login | null =>
      api.login(facts.platform, facts.accountId(phone)),
    logins: (): Login[] => sql.logins.all().map(toLogin),
    loginsOfUser: (platform: SandboxPlatform, userId: string): Login[] =>
      sql.loginsOfUser.all(platform, userId).map(toLogin),
    /** Links an account; rooms that another user had for it are none of the new one's. */
    putLogin(login: Login): void {
      sql.putLogin.run(login.platform, login.id, login.phone, login.userId, login.linkedAt)
      sql.dropForeignPortals.run(login.platform, login.id, login.userId)
    },
    /** Forgets a login and what it still was to receive. @returns whether there was one */
    dropLogin(platform: SandboxPlatform, loginId: string): boolean {
      sql.dropDeliveries.run(platform, loginId)
      return sql.dropLogin.run(platform, loginId).changes > 0
    },

    /** Owes a message to every linked account of its chat but the one it came from. */
    addDeliveries(chat: Chat, seq: number, exceptLoginId: string | null): Delivery[] {
      const facts = platformFacts(chat.platform)
      return chat.members.flatMap(phone => {
        const login = api.loginOfPhone(facts, phone)
        if (!login || login.id === exceptLoginId) return []
        return api.addDelivery(login, chat.id, seq, false)
      })
    },
    addDelivery(login: Login, chatId: string, seq: number, backfill: boolean): Delivery[] {
      sql.addDelivery.run(login.platform, login.id, chatId, seq, backfill ? 1 : 0)
      const row = sql.delivery.get(seq, login.id)
      return row ? [toDelivery(row)] : []
    },
    /** Whether the login's room for the chat has the message. */
    isInPortal: (loginId: string, chatId: string, messageId: string): boolean =>
      sql.isInPortal.get(messageId, loginId, chatId) !== null,
    deliveries: (platform: SandboxPlatform): Delivery[] => sql.deliveries.all(platform).map(toDelivery),
    /** The homeserver has the delivery's event. */
    settleDelivery(delivery: Delivery, messageId: string, roomId: string, eventId: string | null): void {
      sql.settleDelivery.run(delivery.id)
      if (eventId !== null) sql.addEvent.run(eventId, roomId, messageId)
    },
    /** @returns false when the event was taken in before */
    takeEvent: (origin: Origin, messageId: string): boolean =>
      sql.addEvent.run(origin.eventId, origin.roomId, messageId).changes > 0,
    messageOfEvent: (eventId: string): string | null => sql.messageOfEvent.get(eventId)?.message_id ?? null,
    eventOfMessage: (messageId: string, roomId: string): string | null =>
      sql.eventOfMessage.get(messageId, roomId)?.event_id ?? null,
  }
  return api
}

/** In the form of WhatsApp's: every client of the network makes its own ids. */
function newMessageId(): string {
  return `3EB0${randomBytes(9).toString('hex').toUpperCase()}`
}

function toPhone(row: PhoneRow): Phone {
  return {
    phone: row.phone,
    name: row.name,
    echo: row.echo === 1,
    platforms: JSON.parse(row.platforms) as SandboxPlatform[],
    twoFactor: row.two_factor,
  }
}

function toMedia(row: MediaRow): Media {
  return {
    id: row.id,
    name: row.name,
    mimeType: row.mime_type,
    sizeBytes: row.size,
    width: row.width,
    height: row.height,
    blurhash: row.blurhash,
    durationMs: row.duration_ms,
    mxc: row.mxc,
  }
}

function toLogin(row: LoginRow): Login {
  return {
    platform: row.platform,
    id: row.id,
    phone: row.phone,
    userId: row.user_id,
    linkedAt: row.linked_at,
  }
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    platform: row.platform,
    loginId: row.login_id,
    chatId: row.chat,
    seq: row.seq,
    backfill: row.backfill === 1,
  }
}
