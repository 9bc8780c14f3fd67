/** Making and joining groups, who is in them, and what is done to a chat as a whole. */
import { Action, type ActionView } from '../../../domain/views/action.ts'
import { Chat } from '../../../domain/views/chat.ts'
import { CreatedGroup, Members } from '../../../domain/views/group.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { Uploading } from '../../server.ts'
import type { HttpServices } from '../../services.ts'
import { uploadSink } from '../../uploads/upload.ts'
import { ChatPath } from '../chats/model.ts'
import { DeviceParams, PlatformQuery } from '../devices/contact-model.ts'
import { messageAnswer } from '../message-answer.ts'
import { Nothing } from '../webhooks/delivery-model.ts'
import { readChatChange } from './chat-change.ts'
import {
  Actions,
  Backfill,
  ChatChange,
  ChatChangeForm,
  GroupLink,
  MembersChange,
  NewGroup,
  Typing,
} from './model.ts'

const FETCHING = 'Older messages are being fetched'
/** Messages, where nobody says how many: what a bridge mostly fetches at a time. */
const DEFAULT_BACKFILL = 50

export interface GroupRoutesOptions {
  services: Pick<HttpServices, 'groups' | 'conversations' | 'media'>
  uploading: Uploading
}

export function groupRoutes({ services, uploading }: GroupRoutesOptions) {
  const { groups, conversations, media } = services
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
    bearerRoute('PATCH', '/api/v1/chats/:chat_id', {
      id: 'updateChat',
      tag: 'Chats',
      summary: 'Change a chat',
      description:
        'Each change that the network has to take is an action with a status of its own. `muted` and `archived` are kept by the gateway alone, and done at once.',
      params: ChatPath,
      reads: { 'application/json': ChatChange, 'multipart/form-data': ChatChangeForm },
      answer: answer(202, 'Where the changes stand', Actions),
      errors: [404, 409, 422],
      run: async ({ request, identityId, params, recorder }) => {
        const sink = uploadSink(request, identityId, { media, uploading })
        const { fields, avatar, replay } = await readChatChange(request, sink)
        if (replay) return replay
        const { disappearing_s: disappearingS, ...others } = fields
        const record = recorder((data: ActionView[]) => ({ data }))
        const change = { ...others, avatar, disappearingS }
        return { data: await groups.update(identityId, params.chat_id, change, record) }
      },
    }),
    bearerRoute('PATCH', '/api/v1/chats/:chat_id/members', {
      id: 'updateMembers',
      tag: 'Chats',
      summary: 'Add, remove, promote and demote members',
      description:
        'Each person is an action with a status of its own: one who can’t be added holds up nobody.',
      params: ChatPath,
      body: MembersChange,
      answer: answer(202, 'Where the changes stand', Actions),
      records: true,
      errors: [404, 409, 422, 501, 502, 504],
      run: async ({ identityId, params, body, recorder }) => {
        const record = recorder((data: ActionView[]) => ({ data }))
        return { data: await groups.changeMembers(identityId, params.chat_id, body, record) }
      },
    }),
    bearerRoute('POST', '/api/v1/chats/:chat_id/leave', {
      id: 'leaveChat',
      tag: 'Chats',
      summary: 'Leave a group',
      params: ChatPath,
      body: Nothing,
      answer: answer(202, 'Where it stands', Action),
      records: true,
      errors: [404, 409, 422],
      run: async ({ identityId, params, recorder }) =>
        only(await groups.leave(identityId, params.chat_id, recorder(only))),
    }),
    bearerRoute('POST', '/api/v1/chats/:chat_id/block', {
      id: 'blockChat',
      tag: 'Chats',
      summary: 'Block the person of a direct chat',
      params: ChatPath,
      body: Nothing,
      answer: answer(202, 'Where it stands', Action),
      records: true,
      errors: [404, 409, 422],
      run: async ({ identityId, params, recorder }) =>
        only(await groups.block(identityId, params.chat_id, recorder(only))),
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
    bearerRoute('POST', '/api/v1/chats/:chat_id/backfill', {
      id: 'fetchOlderMessages',
      tag: 'Chats',
      summary: 'Fetch older messages',
      description:
        'Asks the network for messages from before those of the chat. They come to the list of its messages; the event `chat.backfilled` says how many.',
      params: ChatPath,
      body: Backfill,
      answer: messageAnswer('It is under way', FETCHING, 202),
      errors: [404, 409, 501, 502, 504],
      run: async ({ identityId, params, body }) => {
        await groups.backfill(identityId, params.chat_id, body.limit ?? DEFAULT_BACKFILL)
        return { message: FETCHING }
      },
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

/** The one action of a call that makes one. */
function only([action]: readonly ActionView[]): ActionView {
  if (action) return action
  throw new Error('the call made no action')
}
