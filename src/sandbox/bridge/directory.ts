/** Finds people on the network, and describes them as the bridge does. */
import { TurnBudget } from '../../lib/turn-budget.ts'
import { directChatId } from '../network/chat-ids.ts'
import { existsOnNetwork, parsePhone } from '../network/phone-number.ts'
import type { Chat, Login } from '../network/types.ts'
import { type BridgeContext, DIRECT, ghostUserId, phoneOfGhost } from './context.ts'
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

export interface Directory {
  /**
   * @returns the number for an identifier: a number as people write it, the platform's own id, or a
   * ghost's Matrix id; null when nobody has it
   */
  resolve(identifier: string): string | null
  describe(login: Login, phone: string): Promise<DirectoryEntry>
  contacts(login: Login): Promise<DirectoryEntry[]>
  search(login: Login, query: string): Promise<DirectoryEntry[]>
  directChat(login: Login, phone: string): Promise<Chat>
}

export function createDirectory(context: BridgeContext, portals: Portals, ghosts: Ghosts): Directory {
  const { facts, network } = context
  const { store } = network

  /** @param ensureGhost false only names the ghost: a long list needs no ghosts yet */
  async function entry(login: Login, phone: string, ensureGhost: boolean): Promise<DirectoryEntry> {
    const portal = portals.find(login.id, directChatId(facts.platform, login.phone, phone))
    return {
      id: facts.personId(phone),
      name: store.contactName(login.phone, phone) ?? store.phone(phone).name,
      avatar_url: '',
      identifiers: [`tel:+${phone}`],
      mxid: ensureGhost ? await ghosts.ensure(phone, DIRECT) : ghostUserId(context, phone, DIRECT),
      ...(portal ? { dm_room_mxid: portal.roomId } : {}),
    }
  }

  return {
    resolve(identifier) {
      const typed = identifier.trim()
      const byId = phoneOfGhost(context, typed) ?? facts.phoneOf(typed.replace(/^user:/, ''))
      const byNumber = parsePhone(typed)
      // On WhatsApp a number-like text is a number; elsewhere it may be an id.
      const phone = facts.platform === 'wa' ? (byNumber ?? byId) : (byId ?? byNumber)
      if (phone === null || !existsOnNetwork(phone)) return null
      return store.phone(phone).platforms.includes(facts.platform) ? phone : null
    },
    describe: (login, phone) => entry(login, phone, true),
    async contacts(login) {
      const turn = new TurnBudget()
      const entries: DirectoryEntry[] = []
      for (const { phone } of store.contacts(login.phone)) {
        entries.push(await entry(login, phone, false))
        if (turn.isSpent) await turn.pause()
      }
      return entries
    },
    search(login, query) {
      const wanted = query.trim().toLowerCase()
      const digits = parsePhone(query)
      const found = new Set<string>()
      if (wanted === '') return Promise.resolve([])
      for (const { phone, name } of [...store.contacts(login.phone), ...store.phones()]) {
        if (name.toLowerCase().includes(wanted) || (digits !== null && phone.includes(digits)))
          found.add(phone)
      }
      const exact = this.resolve(query)
      if (exact !== null) found.add(exact)
      return Promise.all([...found].slice(0, 50).map(phone => entry(login, phone, false)))
    },
    directChat: (login, phone) => network.directChat(facts.platform, login.phone, phone),
  }
}
