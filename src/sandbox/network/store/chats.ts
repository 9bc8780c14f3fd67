/** Tables of chats and their members. */
import type { Database } from 'bun:sqlite'
import type { SandboxPlatform } from '../../platforms.ts'
import { directChatId, directChatPhones, groupChatId } from '../chat-ids.ts'
import type { Chat, Group } from '../types.ts'
import type { PhoneStore } from './phones.ts'

interface ChatRow {
  id: string
  platform: SandboxPlatform
  group_id: string | null
  name: string | null
  invite_code: string | null
}

export function createChatStore(database: Database, phones: Pick<PhoneStore, 'addPhone'>) {
  const sql = {
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

  const api = {
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
    /** Creates the direct chat and its phones if missing. It writes: check `chat` first. */
    ensureDirectChat(platform: SandboxPlatform, one: string, other: string, now: number): Chat {
      const id = directChatId(platform, one, other)
      if (sql.addChat.run(id, platform, 'dm', null, null, null, now).changes > 0) {
        for (const phone of new Set([one, other])) {
          phones.addPhone(phone, now)
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
      phones.addPhone(phone, now)
      sql.addMember.run(chatId, phone)
    },
    isMember: (chatId: string, phone: string): boolean => sql.isMember.get(chatId, phone) !== null,
  }
  return api
}
