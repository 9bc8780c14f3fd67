/** Changes of chats: what of a change makes a difference. */
import type { Chat, ChatChange } from './types.ts'

/** Leaves out what is so already, and what no member can be. */
export function effectOf({ group, members, disappearingS }: Chat, change: ChatChange): ChatChange {
  const isMember = (phone: string) => members.includes(phone)
  const isAdmin = (phone: string) => group?.admins.includes(phone) ?? false
  const listed = {
    added: change.added?.filter(phone => !isMember(phone)),
    removed: change.removed?.filter(isMember),
    promoted: change.promoted?.filter(phone => isMember(phone) && !isAdmin(phone)),
    demoted: change.demoted?.filter(isAdmin),
  }
  const lists = Object.entries(listed).filter(([, phones]) => phones && phones.length > 0)
  const before: ChatChange = { name: group?.name ?? '', topic: group?.topic ?? '', disappearingS }
  const values = (['name', 'topic', 'disappearingS', 'avatar'] as const).flatMap(field =>
    change[field] === undefined || change[field] === before[field] ? [] : [[field, change[field]]],
  )
  return Object.fromEntries([...values, ...lists])
}
