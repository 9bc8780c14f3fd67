/** Finds people and groups for a linked account, and describes them as bridges do. */
import { TurnBudget } from '../../lib/turn-budget.ts'
import { existsOnNetwork, parsePhone } from '../network/phone-number.ts'
import { type Chat, directChatId, type Login } from '../network/types.ts'
import { inviteCodeOf } from '../platforms.ts'
import { type BridgeContext, DIRECT, directId, ghostUserId, phoneOfGhost } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import type { Portals } from './portals.ts'

/** A user in the provisioning API. */
interface DirectoryEntry {
  id: string
  name: string
  avatar_url: string
  identifiers: string[]
  mxid: string
  dm_room_mxid?: string
}

export type Directory = ReturnType<typeof createDirectory>

export function createDirectory(context: BridgeContext, portals: Portals, ghosts: Ghosts) {
  const { facts, network } = context
  const { store } = network

  /** @param ensureGhost false only names the ghost: a long list needs no ghosts yet */
  async function entry(login: Login, phone: string, ensureGhost: boolean): Promise<DirectoryEntry> {
    const portal = portals.find(login.id, directChatId(facts.platform, login.phone, phone))
    return {
      id: directId(context, phone),
      name: store.contactName(login.phone, phone) ?? store.phone(phone).name,
      avatar_url: await ghosts.pictureOf(store.phone(phone).avatarId),
      identifiers: [`tel:+${phone}`],
      mxid: ensureGhost ? await ghosts.ensure(phone, DIRECT) : ghostUserId(context, phone, DIRECT),
      ...(portal ? { dm_room_mxid: portal.roomId } : {}),
    }
  }

  /**
   * @returns the number for an identifier: a number as people write it, the platform's own id, or a
   * ghost's Matrix id; null when nobody has it
   */
  function resolve(identifier: string): string | null {
    const typed = identifier.trim()
    const byId = phoneOfGhost(context, typed) ?? facts.phoneOf(typed.replace(/^user:/, ''))
    const byNumber = parsePhone(typed)
    // On WhatsApp a number-like text is a number; elsewhere it may be an id.
    const phone = facts.platform === 'wa' ? (byNumber ?? byId) : (byId ?? byNumber)
    if (phone === null || !existsOnNetwork(phone)) return null
    return store.phone(phone).platforms.includes(facts.platform) ? phone : null
  }

  return {
    resolve,
    describe: (login: Login, phone: string) => entry(login, phone, true),
    async contacts(login: Login): Promise<DirectoryEntry[]> {
      const turn = new TurnBudget()
      const entries: DirectoryEntry[] = []
      for (const { phone } of store.contacts(login.phone)) {
        entries.push(await entry(login, phone, false))
        if (turn.isSpent) await turn.pause()
      }
      return entries
    },
    async search(login: Login, query: string): Promise<DirectoryEntry[]> {
      const wanted = query.trim().toLowerCase()
      const digits = parsePhone(query)
      const found = new Set<string>()
      if (wanted === '') return []
      for (const { phone, name } of [...store.contacts(login.phone), ...store.phones()]) {
        if (name.toLowerCase().includes(wanted) || (digits !== null && phone.includes(digits)))
          found.add(phone)
      }
      const exact = resolve(query)
      if (exact !== null) found.add(exact)
      return Promise.all([...found].slice(0, 50).map(phone => entry(login, phone, false)))
    },
    directChat: (login: Login, phone: string) => network.directChat(facts.platform, login.phone, phone),
    /** @returns the group of an invite link, or what is wrong with the link */
    groupByLink(link: string): Chat | 'not_a_link' | 'unknown' {
      const code = inviteCodeOf(facts, link)
      if (code === null) return 'not_a_link'
      return store.chatByInvite(facts.platform, code) ?? 'unknown'
    },
  }
}
