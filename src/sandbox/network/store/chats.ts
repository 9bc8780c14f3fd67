/** Tables of chats and their members. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import type { SandboxPlatform } from '../../platforms.ts'
import { type Chat, directChatId, directChatPhones, type Group, groupChatId } from '../types.ts'
import type { PhoneStore } from './phones.ts'

interface ChatRow {
  id: string
  platform: SandboxPlatform
  group_id: string | null
  name: string | null
  invite_code: string | null
}

export function createChatStore(database: Database, phones: Pick<PhoneStore, 'addPhone'>) {
  const { one, all, run } = statementsOf(database)
  const find = one<ChatRow, [string]>('SELECT * FROM sandbox_chat WHERE id = ?')
  const byInvite = one<ChatRow, [string, string]>(
    'SELECT * FROM sandbox_chat WHERE platform = ? AND invite_code = ?',
  )
  const groups = all<ChatRow>("SELECT * FROM sandbox_chat WHERE kind = 'group' ORDER BY created_at, id")
  const ofPhone = all<ChatRow, [string]>(
    'SELECT c.* FROM sandbox_member AS m JOIN sandbox_chat AS c ON c.id = m.chat WHERE m.phone = ?',
  )
  const add = run<[string, string, string, string | null, string | null, string | null, number]>(
    `INSERT OR IGNORE INTO sandbox_chat (id, platform, kind, group_id, name, invite_code, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const members = all<{ phone: string }, [string]>(
    'SELECT phone FROM sandbox_member WHERE chat = ? ORDER BY phone',
  )
  const addMember = run<[string, string]>('INSERT OR IGNORE INTO sandbox_member (chat, phone) VALUES (?, ?)')
  const member = one<{ phone: string }, [string, string]>(
    'SELECT phone FROM sandbox_member WHERE chat = ? AND phone = ?',
  )

  function toChat(row: ChatRow): Chat {
    const phones = directChatPhones(row.id)
    const group: Group | null =
      row.group_id === null
        ? null
        : { groupId: row.group_id, name: row.name ?? row.group_id, inviteCode: row.invite_code ?? '' }
    return {
      id: row.id,
      platform: row.platform,
      group,
      members: phones ? [...new Set(phones)] : members(row.id).map(({ phone }) => phone),
    }
  }
  const shown = (row: ChatRow | undefined) => row && toChat(row)

  const api = {
    chat: (chatId: string) => shown(find(chatId)),
    chatByInvite: (platform: SandboxPlatform, inviteCode: string) => shown(byInvite(platform, inviteCode)),
    groups: (): Chat[] => groups().map(toChat),
    chatsOfPhone: (phone: string): Chat[] => ofPhone(phone).map(toChat),
    /** Creates the direct chat and its phones if missing. It writes: check `chat` first. */
    ensureDirectChat(platform: SandboxPlatform, one: string, other: string, now: number): Chat {
      const id = directChatId(platform, one, other)
      const phones = [...new Set([one, other])]
      if (add(id, platform, 'dm', null, null, null, now) > 0)
        for (const phone of phones) api.addMember(id, phone, now)
      return { id, platform, group: null, members: phones }
    },
    addGroup(platform: SandboxPlatform, group: Group, members: readonly string[], now: number): Chat {
      const id = groupChatId(platform, group.groupId)
      add(id, platform, 'group', group.groupId, group.name, group.inviteCode, now)
      for (const phone of members) api.addMember(id, phone, now)
      return { id, platform, group, members: [...new Set(members)].sort() }
    },
    addMember(chatId: string, phone: string, now: number): void {
      phones.addPhone(phone, now)
      addMember(chatId, phone)
    },
    isMember: (chatId: string, phone: string): boolean => member(chatId, phone) !== undefined,
  }
  return api
}
