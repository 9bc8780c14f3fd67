/** Groups and the settings of chats. */
import { createGroups, type GroupsOptions } from './groups.ts'
import { createMembers, type MembersOptions } from './members.ts'
import { createShowTyping, type ShowTypingOptions } from './typing.ts'

export type GroupsModule = ReturnType<typeof createGroupsModule>

export function createGroupsModule(parts: GroupsOptions & MembersOptions & ShowTypingOptions) {
  return {
    ...createGroups(parts),
    members: createMembers(parts).list,
    showTyping: createShowTyping(parts),
  }
}
