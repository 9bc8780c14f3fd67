/** /sandbox/api/groups: the network's groups and their invite links. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { type Chat, groupChatId } from '../network/types.ts'
import { inviteCodeOf, platformFacts, type SandboxPlatform } from '../platforms.ts'
import { readJson } from './body.ts'
import { type ApiContext, type Asked, mustExist, nameField, phoneField, platformField } from './context.ts'
import { ApiError, check } from './errors.ts'
import { groupView } from './views.ts'

/** Members of a new group, written at once. More may join by its link. */
export const MAX_MEMBERS = 1_000

export function createGroupHandlers(api: ApiContext) {
  const { store } = api.network
  const groupSchema = z.object({
    name: nameField,
    platform: platformField(api).default('wa'),
    members: z
      .array(phoneField, 'expected a list of phone numbers')
      .max(MAX_MEMBERS, `expected at most ${MAX_MEMBERS} members`)
      .default([]),
    channel: z.object({ owner: phoneField }, 'expected {owner}').optional(),
  })
  return {
    list() {
      const shown = store.groups().filter(({ platform }) => api.platforms.includes(platform))
      return Response.json(shown.flatMap(chat => (chat.group ? groupView(chat, chat.group) : [])))
    },

    async create({ request }: Asked) {
      const { name, platform, members, channel } = check(groupSchema, await readJson(request))
      for (const member of members) mustExist('members', member)
      if (channel) mustHavePosts('channel', platform)
      const owner = channel ? mustExist('channel', channel.owner) : null
      const kind = channel ? 'channel' : 'group'
      const everybody = owner === null ? members : [...members, owner]
      const admins = owner === null ? members.slice(0, 1) : [owner]
      const group = { name, inviteCode: randomBytes(11).toString('hex'), kind, owner, admins } as const
      const chat = await api.network.createGroup(platform, group, everybody)
      return Response.json(chat.group && groupView(chat, chat.group), { status: 201 })
    },
  }
}

/** @throws ApiError 400 where there are neither channels nor status posts */
export function mustHavePosts(field: string, platform: SandboxPlatform): void {
  if (platformFacts(platform).posts !== null) return
  throw new ApiError('bad_request', `${field}: ${platform} has none here; wa has`)
}

/**
 * @param wanted the group's id, invite code or invite link
 * @param platform where to look; an invite link names its own
 * @throws ApiError 404
 */
export function findGroup(api: ApiContext, wanted: string, platform: SandboxPlatform): Chat {
  const { store } = api.network
  for (const candidate of api.platforms) {
    const code = inviteCodeOf(platformFacts(candidate), wanted)
    const chat = code === null ? undefined : store.chatByInvite(candidate, code)
    if (chat) return chat
  }
  const chat = store.chat(groupChatId(platform, wanted)) ?? store.chatByInvite(platform, wanted)
  if (chat) return chat
  throw new ApiError(
    'not_found',
    `group: there is no group ${wanted} on ${platform} (expected an id, invite code or link)`,
  )
}
