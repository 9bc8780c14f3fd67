/** How chats are named: by the platform and the two phones, or by the platform and the group's id there. */
import type { SandboxPlatform } from '../platforms.ts'

export function directChatId(platform: SandboxPlatform, one: string, other: string): string {
  return one < other ? `${platform}:${one}:${other}` : `${platform}:${other}:${one}`
}

export function groupChatId(platform: SandboxPlatform, groupId: string): string {
  return `${platform}:group:${groupId}`
}

/** @returns the phones of a direct chat, or null when the id is a group's */
export function directChatPhones(chatId: string): [string, string] | null {
  const [, one, other] = chatId.split(':')
  return one === undefined || other === undefined || one === 'group' ? null : [one, other]
}
