/** Chat ids: the platform with the two phones, or with the group's own id. */
import type { SandboxPlatform } from '../platforms.ts'

export function directChatId(platform: SandboxPlatform, one: string, other: string): string {
  return one < other ? `${platform}:${one}:${other}` : `${platform}:${other}:${one}`
}

export function groupChatId(platform: SandboxPlatform, groupId: string): string {
  return `${platform}:group:${groupId}`
}

/** @returns the phones of a direct chat, or null for a group's id */
export function directChatPhones(chatId: string): [string, string] | null {
  const [, one, other] = chatId.split(':')
  return one === undefined || other === undefined || one === 'group' ? null : [one, other]
}
