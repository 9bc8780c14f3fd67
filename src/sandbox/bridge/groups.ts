/** Groups for a linked account: found by invite link, joined, created. */
import { randomBytes } from 'node:crypto'
import type { Chat, Login } from '../network/types.ts'
import { inviteCodeOf } from '../platforms.ts'
import type { BridgeContext } from './context.ts'

export interface Groups {
  /** @returns the group of a link, or what is wrong with the link */
  byLink(link: string): Chat | 'not_a_link' | 'unknown'
  join(login: Login, chat: Chat): Promise<Chat>
  create(login: Login, name: string, phones: readonly string[]): Promise<Chat>
}

export function createGroups({ facts, network }: BridgeContext): Groups {
  return {
    byLink(link) {
      const code = inviteCodeOf(facts, link)
      if (code === null) return 'not_a_link'
      return network.store.chatByInvite(facts.platform, code) ?? 'unknown'
    },
    join: (login, chat) => network.joinGroup(chat, login.phone),
    create: (login, name, phones) =>
      network.createGroup(facts.platform, { name, inviteCode: newInviteCode() }, [login.phone, ...phones]),
  }
}

export function newInviteCode(): string {
  return randomBytes(11).toString('hex')
}
