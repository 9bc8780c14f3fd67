/** Groups, and what is done to a chat as a whole. */
import { type BackfillOptions, createBackfill } from './backfill.ts'
import { type ChatAccessOptions, createChatAccess } from './chat-access.ts'
import { createGroups, type GroupsOptions } from './groups.ts'
import { createMembers, type MembersOptions } from './members.ts'
import { createSettings, type SettingsOptions } from './settings.ts'
import { createSettingsRepository } from './settings-repository.ts'
import { createShowTyping, type ShowTypingOptions } from './typing.ts'

export type GroupsModule = ReturnType<typeof createGroupsModule>

export interface GroupsParts
  extends GroupsOptions,
    ChatAccessOptions,
    Omit<MembersOptions, 'access'>,
    Omit<ShowTypingOptions, 'access'>,
    Omit<BackfillOptions, 'access'>,
    Omit<SettingsOptions, 'access' | 'repository'> {
  chats: ChatAccessOptions['chats'] & SettingsOptions['chats']
  recipients: GroupsOptions['recipients'] & SettingsOptions['recipients']
  devices: GroupsOptions['devices'] & ChatAccessOptions['devices']
  bridges: GroupsOptions['bridges'] & BackfillOptions['bridges']
}

export function createGroupsModule(parts: GroupsParts) {
  const access = createChatAccess(parts)
  const { update, changeMembers, leave, block } = createSettings({
    ...parts,
    access,
    repository: createSettingsRepository(parts.db),
  })
  return {
    ...createGroups(parts),
    members: createMembers({ ...parts, access }).list,
    showTyping: createShowTyping({ ...parts, access }),
    backfill: createBackfill({ ...parts, access }),
    update,
    changeMembers,
    leave,
    block,
  }
}
