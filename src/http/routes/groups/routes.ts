/** Making and joining groups, who is in them, and what is done to a chat as a whole. */
import { Chat } from '../../../domain/views/chat.ts'
import { CreatedGroup, Members } from '../../../domain/views/group.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { ChatPath } from '../chats/model.ts'
import { DeviceParams, PlatformQuery } from '../devices/contact-model.ts'
import { GroupLink, NewGroup, Typing } from './model.ts'

export function groupRoutes({ groups, conversations }: Pick<HttpServices, 'groups' | 'conversations'>) {
  return [
    bearerRoute('POST', '/api/v1/devices/:device_id/groups', {
      id: 'createGroup',
      tag: 'Chats',
      summary: 'Make a group',
      description:
        'With the device in it. All participants are looked up first: if one isn’t on the network, no group is made.',
      params: DeviceParams,
      query: PlatformQuery,
      body: NewGroup,
      answer: answer(201, 'The group', CreatedGroup),
      errors: [404, 409, 501, 502, 504],
      run: async ({ identityId, params, query: { platform = null }, body }) => {
        const by = { identityId, deviceId: params.device_id, platform }
        const { roomId, notAdded } = await groups.create(by, body)
        return { ...(await conversations.get(identityId, roomId)), not_added: notAdded }
      },
    }),
    bearerRoute('POST', '/api/v1/devices/:device_id/groups/join', {
      id: 'joinGroup',
      tag: 'Chats',
      summary: 'Join a group by its link',
      params: DeviceParams,
      query: PlatformQuery,
      body: GroupLink,
      answer: answer(201, 'The group, also if the device was in it already', Chat),
      errors: [403, 404, 409, 501, 502, 504],
      run: async ({ identityId, params, query: { platform = null }, body }) => {
        const by = { identityId, deviceId: params.device_id, platform }
        return conversations.get(identityId, await groups.join(by, body.link))
      },
    }),
    bearerRoute('GET', '/api/v1/chats/:chat_id/members', {
      id: 'listMembers',
      tag: 'Chats',
      summary: 'List who is in a chat',
      params: ChatPath,
      answer: answer(200, 'Its members', Members),
      errors: [403, 404, 409, 502],
      run: async ({ identityId, params }) => ({ data: await groups.members(identityId, params.chat_id) }),
    }),
    bearerRoute('POST', '/api/v1/chats/:chat_id/typing', {
      id: 'setTyping',
      tag: 'Chats',
      summary: 'Show yourself as typing',
      description: 'For 10 seconds, where the network shows it. Nothing of it is stored.',
      params: ChatPath,
      body: Typing,
      answer: answer(204, 'Shown'),
      errors: [403, 404, 502],
      run: async ({ identityId, params, body }) => {
        await groups.showTyping(identityId, params.chat_id, body.typing)
        return new Response(null, { status: 204 })
      },
    }),
  ]
}
