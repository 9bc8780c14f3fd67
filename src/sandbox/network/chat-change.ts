/** Changes of chats: what of a change makes a difference. */
import type { Chat, ChatChange } from './types.ts'

/** Leaves out what is so already, and what no member can be. */
export function effectOf({ group, members }: Chat, change: ChatChange): ChatChange {
  const isMember = (phone: string) => members.includes(phone)
  const isAdmin = (phone: string) => group?.admins.includes(phone) ?? false
  const listed = {
    added: change.added?.filter(phone => !isMember(phone)),
    removed: change.removed?.filter(isMember),
    promoted: change.promoted?.filter(phone => isMember(phone) && !isAdmin(phone)),
    demoted: change.demoted?.filter(isAdmin),
  }
  const lists = Object.entries(listed).filter(([, phones]) => phones && phones.length > 0)
  const { added: _a, removed: _r, promoted: _p, demoted: _d, ...values } = change
  return { ...values, ...Object.fromEntries(lists) }
}
