/** Tables of phones and their address books, and of chats and their members. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import { SANDBOX_PLATFORMS, type SandboxPlatform } from '../../platforms.ts'
import { generatedName } from '../phone-number.ts'
import {
  type Chat,
  type ChatChange,
  type Contact,
  directChatId,
  directChatPhones,
  type Group,
  groupChatId,
  type NewGroup,
  type Phone,
} from '../types.ts'

interface PhoneRow {
  phone: string
  name: string
  echo: number
  platforms: string
  twoFactor: string | null
  chatsByNumber: number
  avatarId: string | null
}

interface ChatRow {
  id: string
  platform: SandboxPlatform
  groupId: string | null
  name: string | null
  inviteCode: string | null
  posts: 'channel' | 'status' | null
  owner: string | null
  topic: string | null
  avatarId: string | null
  disappearingS: number
}

const PHONES = `SELECT phone, name, echo, platforms, two_factor AS twoFactor, chats_by_number AS chatsByNumber,
  avatar AS avatarId FROM sandbox_phone`
const CHATS = `SELECT c.id, c.platform, c.group_id AS groupId, c.name, c.invite_code AS inviteCode, c.posts, c.owner,
  c.topic, c.avatar AS avatarId, c.disappearing_s AS disappearingS FROM sandbox_chat AS c`

export function createChatStore(database: Database) {
  const { one, has, value, values, all, run } = statementsOf(database)
  const phone = one<PhoneRow, [string]>(`${PHONES} WHERE phone = ?`)
  const phones = all<PhoneRow>(`${PHONES} ORDER BY created_at, phone`)
  const addPhone = run<[string, string, string, number]>(
    'INSERT OR IGNORE INTO sandbox_phone (phone, name, echo, platforms, created_at) VALUES (?, ?, 1, ?, ?)',
  )
  const putPhone = run<[Omit<Phone, 'platforms'> & { platforms: string; now: number }]>(
    `INSERT INTO sandbox_phone (phone, name, echo, platforms, two_factor, chats_by_number, avatar, created_at)
     VALUES ($phone, $name, $echo, $platforms, $twoFactor, $chatsByNumber, $avatarId, $now)
     ON CONFLICT (phone) DO UPDATE SET name = excluded.name, echo = excluded.echo, platforms = excluded.platforms,
       two_factor = excluded.two_factor, chats_by_number = excluded.chats_by_number, avatar = excluded.avatar`,
  )
  const update = run<
    [{ id: string; name: string | null; topic: string | null; picture: string | null; disappearingS: number }]
  >(
    `UPDATE sandbox_chat SET name = $name, topic = $topic, avatar = $picture, disappearing_s = $disappearingS WHERE id = $id`,
  )
  const block = run<[string, string]>('INSERT OR IGNORE INTO sandbox_block (chat, phone) VALUES (?, ?)')
  const unblock = run<[string, string]>('DELETE FROM sandbox_block WHERE chat = ? AND phone = ?')
  const removeMember = run<[string, string]>('DELETE FROM sandbox_member WHERE chat = ? AND phone = ?')
  const chat = one<ChatRow, [string]>(`${CHATS} WHERE c.id = ?`)
  const byInvite = one<ChatRow, [string, string]>(`${CHATS} WHERE c.platform = ? AND c.invite_code = ?`)
  const groups = all<ChatRow>(
    `${CHATS} WHERE c.kind = 'group' AND c.posts IS NOT 'status' ORDER BY c.created_at, c.id`,
  )
  const ofPhone = all<ChatRow, [string]>(
    `${CHATS} JOIN sandbox_member AS m ON m.chat = c.id WHERE m.phone = ?`,
  )
  const addChat = run<[ChatRow & { kind: string; now: number }]>(
    `INSERT OR IGNORE INTO sandbox_chat
       (id, platform, kind, group_id, name, invite_code, posts, owner, topic, avatar, disappearing_s, created_at)
     VALUES ($id, $platform, $kind, $groupId, $name, $inviteCode, $posts, $owner, $topic, $avatarId, $disappearingS, $now)`,
  )
  const members = all<{ phone: string; isAdmin: number }, [string]>(
    'SELECT phone, is_admin AS isAdmin FROM sandbox_member WHERE chat = ? ORDER BY phone',
  )
  const addMember = run<[string, string]>('INSERT OR IGNORE INTO sandbox_member (chat, phone) VALUES (?, ?)')
  const setAdmin = run<[boolean, string, string]>(
    'UPDATE sandbox_member SET is_admin = ? WHERE chat = ? AND phone = ?',
  )

  function toChat(row: ChatRow): Chat {
    const { id, platform, groupId, name, inviteCode, posts, owner, topic, avatarId, disappearingS } = row
    const pair = directChatPhones(id)
    if (pair || groupId === null)
      return { id, platform, group: null, members: [...new Set(pair ?? [])], disappearingS }
    const rows = members(id)
    const group: Group = {
      groupId,
      name: name ?? groupId,
      inviteCode: inviteCode ?? '',
      kind: posts ?? 'group',
      owner,
      topic: topic ?? '',
      avatarId,
      admins: rows.flatMap(({ phone, isAdmin }) => (isAdmin === 1 ? [phone] : [])),
    }
    return { id, platform, group, members: rows.map(({ phone }) => phone), disappearingS }
  }
  const shown = (row: ChatRow | undefined) => row && toChat(row)

  const api = {
    /** @returns the stored phone, or a new one's defaults; it may not exist on the network */
    phone(number: string): Phone {
      const row = phone(number)
      if (row) return toPhone(row)
      const name = generatedName(number)
      const rest = { platforms: SANDBOX_PLATFORMS, twoFactor: null, chatsByNumber: false, avatarId: null }
      return { phone: number, name, echo: true, ...rest }
    },
    hasPhone: (number: string): boolean => phone(number) !== undefined,
    phones: (): Phone[] => phones().map(toPhone),
    addPhone: (number: string, now: number) =>
      addPhone(number, generatedName(number), JSON.stringify(SANDBOX_PLATFORMS), now),
    putPhone: (given: Phone, now: number) =>
      putPhone({ ...given, platforms: JSON.stringify(given.platforms), now }),
    putContact: run<[phone: string, contact: string, name: string]>(
      'INSERT OR REPLACE INTO sandbox_contact (phone, contact, name) VALUES (?, ?, ?)',
    ),
    contacts: all<Contact, [phone: string]>(
      'SELECT contact AS phone, name FROM sandbox_contact WHERE phone = ? ORDER BY name, contact',
    ),
    /** Phones that have the contact in their address book. */
    phonesKnowing: values<string, [contact: string]>(
      'SELECT phone FROM sandbox_contact WHERE contact = ? ORDER BY phone',
    ),
    /** Name of `contact` in the address book of `phone`. */
    contactName: value<string, [phone: string, contact: string]>(
      'SELECT name FROM sandbox_contact WHERE phone = ? AND contact = ?',
    ),
    chat: (chatId: string) => shown(chat(chatId)),
    chatByInvite: (platform: SandboxPlatform, inviteCode: string) => shown(byInvite(platform, inviteCode)),
    groups: (): Chat[] => groups().map(toChat),
    chatsOfPhone: (number: string): Chat[] => ofPhone(number).map(toChat),
    /** Creates the direct chat and its phones if missing. It writes: check `chat` first. */
    ensureDirectChat(platform: SandboxPlatform, one: string, other: string, now: number): Chat {
      const id = directChatId(platform, one, other)
      const pair = [...new Set([one, other])]
      const none = { groupId: null, name: null, inviteCode: null, posts: null, owner: null }
      const row = { id, platform, kind: 'dm', ...none, topic: null, avatarId: null, disappearingS: 0, now }
      if (addChat(row) > 0) for (const member of pair) api.addMember(id, member, now)
      return { id, platform, group: null, members: pair, disappearingS: 0 }
    },
    /** Creates a group if it is missing, with these members. @returns it with them alone */
    addGroup(
      platform: SandboxPlatform,
      { groupId, disappearingS = 0, ...group }: NewGroup & { groupId: string; disappearingS?: number },
      members: readonly string[],
      now: number,
    ): Chat {
      const id = groupChatId(platform, groupId)
      const { kind, inviteCode, admins, topic = '', avatarId = null, ...named } = group
      const posts = kind === 'group' ? null : kind
      const shown = { ...named, topic, avatarId, disappearingS, inviteCode: inviteCode || null, posts }
      addChat({ id, platform, groupId, kind: 'group', ...shown, now })
      for (const member of members) api.addMember(id, member, now)
      for (const admin of admins) setAdmin(true, id, admin)
      return { ...(api.chat(id) as Chat), members: [...new Set(members)].sort() }
    },
    /** Phones that want to hear nothing from the other of a direct chat. */
    blockers: values<string, [chatId: string]>('SELECT phone FROM sandbox_block WHERE chat = ?'),
    setBlocked(chatId: string, phone: string, isBlocked: boolean): void {
      if (isBlocked) block(chatId, phone)
      else unblock(chatId, phone)
    },
    /** Stores what a change says of a chat and its members. */
    changeChat(
      { id, group, disappearingS: before }: Chat,
      change: ChatChange,
      avatarId: string | null,
      now: number,
    ): void {
      const { added = [], removed = [], promoted = [], demoted = [], disappearingS = before } = change
      const { name = group?.name ?? null, topic = group?.topic ?? null } = change
      const picture = change.avatar === undefined ? (group?.avatarId ?? null) : avatarId
      update({ id, name, topic, picture, disappearingS })
      for (const phone of added) api.addMember(id, phone, now)
      for (const phone of removed) removeMember(id, phone)
      for (const phone of promoted) setAdmin(true, id, phone)
      for (const phone of demoted) setAdmin(false, id, phone)
    },
    addMember(chatId: string, number: string, now: number): void {
      api.addPhone(number, now)
      addMember(chatId, number)
    },
    isMember: has<[chatId: string, phone: string]>(
      'SELECT 1 FROM sandbox_member WHERE chat = ? AND phone = ?',
    ),
  }
  return api
}

function toPhone({ echo, chatsByNumber, platforms: listed, ...row }: PhoneRow): Phone {
  const platforms = JSON.parse(listed) as SandboxPlatform[]
  return { ...row, echo: echo === 1, chatsByNumber: chatsByNumber === 1, platforms }
}
