/** /api/v1/chats: what goes on in which chat. */
import { Chat, ChatPage } from '../../../domain/views/chat.ts'
import { ChatMessagePage } from '../../../domain/views/chat-message.ts'
import type { ChatPlace } from '../../../modules/conversations/chat-list-repository.ts'
import type { MessagePlace } from '../../../modules/conversations/conversation-repository.ts'
import type { FoundPlace } from '../../../modules/history/search-repository.ts'
import { pageAsked, pageShown } from '../../paging.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { ChatPath, ChatsQuery, ErasedChat, MessagesQuery, SearchQuery } from './model.ts'

export function chatRoutes({ conversations, erasure }: Pick<HttpServices, 'conversations' | 'erasure'>) {
  return [
    bearerRoute('GET', '/api/v1/messages/search', {
      id: 'searchMessages',
      tag: 'Chats',
      summary: 'Search messages',
      description:
        'Messages of all chats with all of the words, the last of which may be the beginning of one. Case and accents don’t count. A new message is found a moment after it came.',
      query: SearchQuery,
      answer: answer(200, 'Newest first', ChatMessagePage),
      errors: [404],
      run: async ({ identityId, query: { query, chat_id: chatId, device_id: deviceId, ...paging } }) => {
        const page = pageAsked<FoundPlace>(paging, ['number', 'number'])
        return pageShown(await conversations.search(identityId, { query, chatId, deviceId, ...page }))
      },
    }),
    bearerRoute('GET', '/api/v1/chats', {
      id: 'listChats',
      tag: 'Chats',
      summary: 'List chats',
      description: 'Of all devices, unless filters say otherwise.',
      query: ChatsQuery,
      answer: answer(200, 'Those in which something was said last come first', ChatPage),
      errors: [404],
      run: async ({ identityId, query: { device_id: deviceId, ...query } }) => {
        const page = pageAsked<ChatPlace>(query, ['number', 'string'])
        return pageShown(await conversations.list(identityId, { ...query, ...page, deviceId }))
      },
    }),
    bearerRoute('GET', '/api/v1/chats/:chat_id', {
      id: 'getChat',
      tag: 'Chats',
      summary: 'Get a chat',
      params: ChatPath,
      answer: answer(200, 'The chat, as the list has it', Chat),
      errors: [404],
      run: ({ identityId, params }) => conversations.get(identityId, params.chat_id),
    }),
    bearerRoute('DELETE', '/api/v1/chats/:chat_id', {
      id: 'deleteChat',
      tag: 'Chats',
      summary: 'Erase a chat',
      description:
        'Erases what the gateway has stored of it: messages, files, what a search finds, and the contents of events. Nobody else loses anything, and the chat is listed again, under the same id, when something is said there. After an answer other than 200 or 409, a repeat does the rest.',
      params: ChatPath,
      answer: answer(200, 'Nothing of it is left here', ErasedChat),
      errors: [404, 409],
      run: ({ identityId, params }) => erasure.erase(identityId, params.chat_id),
    }),
    bearerRoute('GET', '/api/v1/chats/:chat_id/messages', {
      id: 'listChatMessages',
      tag: 'Chats',
      summary: 'List messages of a chat',
      description:
        'What came in, what was written at the phone, what was sent from here, and what is from before the link. The answer comes from the gateway’s disk; the network is not asked.',
      params: ChatPath,
      query: MessagesQuery,
      answer: answer(200, 'Newest first', ChatMessagePage),
      errors: [404],
      run: async ({ identityId, params, query }) => {
        const page = pageAsked<MessagePlace>(query, ['number', 'string'])
        return pageShown(await conversations.messages(identityId, params.chat_id, page))
      },
    }),
  ]
}
