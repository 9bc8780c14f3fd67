/** Chats as their owners look at them. All of it comes from the database: nobody is asked. */
import type { Db } from '../../db/open.ts'
import { type Chat, type ChatMessage, type Device, isErased } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { ChatKind } from '../../domain/states.ts'
import { type ChatView, LISTED_CHAT_KINDS } from '../../domain/views/chat.ts'
import type { ChatMessageView } from '../../domain/views/chat-message.ts'
import type { Page, Place } from '../../domain/views/page.ts'
import { phoneDigits } from '../../lib/phone-numbers.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { KnownPeople } from '../chats/known-people.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { noSuchDevice } from '../devices/refusals.ts'
import { createSearchRepository, type FoundPlace } from '../history/search-repository.ts'
import type { Avatars } from '../media/avatars.ts'
import { type ChatFilter, type ChatPlace, createChatListRepository } from './chat-list-repository.ts'
import { createChatViews } from './chat-view.ts'
import { createConversationRepository, type MessagePlace } from './conversation-repository.ts'
import { createMessageViews, type MessageViewsOptions } from './message-view.ts'

export interface ConversationsOptions {
  db: Pick<Db, 'read' | 'write'>
  chats: Pick<ChatRepository, 'find' | 'featuresOf'>
  devices: Pick<LinkedDevices, 'find' | 'get' | 'linked' | 'linkedFirst'>
  knownPeople: KnownPeople
  media: MessageViewsOptions['media']
  publicUrl: MessageViewsOptions['publicUrl']
  matrixUserOf: MessageViewsOptions['matrixUserOf']
  avatars: Pick<Avatars, 'urlOf'>
}

interface PageAsked<End extends Place> {
  limit: number
  after?: End | undefined
}

export interface ChatsAsked extends PageAsked<ChatPlace> {
  deviceId?: string | undefined
  platform?: string | undefined
  kind?: ChatKind | undefined
  /** Part of a name, a number or an id, in any case and spelling. */
  query?: string | undefined
}

export interface SearchOf extends PageAsked<FoundPlace> {
  query: string
  chatId?: string | undefined
  deviceId?: string | undefined
}

/** Chats read at a time, when those that match may be few. */
const STEP = 500
const START: ChatPlace = [Number.MAX_SAFE_INTEGER, '']

export type Conversations = ReturnType<typeof createConversations>

export function createConversations(options: ConversationsOptions) {
  const { db, chats, devices, knownPeople: people, avatars } = options
  const repository = createChatListRepository(db)
  const said = createConversationRepository(db)
  const index = createSearchRepository(db)
  const viewOf = createChatViews({ chats, people, avatars })
  const messageViews = createMessageViews({ ...options, people })

  async function chatView(chat: Chat, owned: readonly Device[]): Promise<ChatView> {
    const { data } = await messagesOf(chat, { limit: 1 })
    return viewOf(chat, owned, data[0] ?? null)
  }

  async function messagesOf(chat: Chat, { limit, after }: PageAsked<MessagePlace>) {
    const rows = await said.behind(chat, after, limit + 1)
    const page = rows.slice(0, limit)
    const messageView = messageViews(await said.belongings(chat.identityId, page))
    const last = rows.length > limit ? page.at(-1) : undefined
    const data: ChatMessageView[] = []
    for (const row of page) data.push(await messageView(row, chat))
    return { data, next: last ? ([last.sentAt, last.eventId] as const) : null }
  }

  /** The chats of some messages, by their rooms. */
  async function chatsOf(identityId: string, rows: readonly ChatMessage[]): Promise<Map<string, Chat>> {
    const found = new Map<string, Chat>()
    for (const roomId of new Set(rows.map(row => row.roomId))) {
      const chat = await chats.find(identityId, roomId)
      if (chat) found.set(roomId, chat)
    }
    return found
  }

  /** @throws GatewayError not_found */
  async function existing(identityId: string, reference: string): Promise<Chat> {
    const chat = await chats.find(identityId, reference)
    if (chat && isListed(chat) && !isErased(chat)) return chat
    throw new GatewayError('not_found', `there is no chat ${reference}`)
  }

  /** @throws GatewayError not_found */
  async function deviceOf(identityId: string, deviceId: string, platform: string | null): Promise<Device> {
    const device = await devices.find(identityId, deviceId, platform)
    if (device) return device
    throw await noSuchDevice(devices, identityId, deviceId, platform)
  }

  /** @returns one chat more than `limit`, if there are as many */
  async function matching(filter: ChatFilter, { query = '', limit, after = START }: ChatsAsked) {
    const found: Chat[] = []
    const matches = matcherOf(query)
    const step = query.trim() === '' ? limit + 1 : STEP
    const turn = new TurnBudget()
    for (let place = after; ; ) {
      const rows = await repository.behind(filter, place, step)
      found.push(...rows.filter(matches))
      const last = rows.at(-1)
      if (!last || rows.length < step || found.length > limit) return found
      place = [last.activityAt, last.id]
      await turn.pause()
    }
  }

  return {
    /**
     * Chats in which something was said last come first.
     * @throws GatewayError not_found (no such device)
     */
    async list(identityId: string, asked: ChatsAsked): Promise<Page<ChatView, ChatPlace>> {
      const { deviceId, platform = null, kind = null, limit } = asked
      const device = deviceId === undefined ? null : await deviceOf(identityId, deviceId, platform)
      const found = await matching({ identityId, platform, kind, device }, asked)
      const page = found.slice(0, limit)
      const owned = await devices.linkedFirst(identityId)
      const last = found.length > limit ? page.at(-1) : undefined
      const data: ChatView[] = []
      for (const chat of page) data.push(await chatView(chat, owned))
      return { data, next: last ? [last.activityAt, last.id] : null }
    },

    /**
     * @param reference the chat's id, or that of a room that it is or was in
     * @throws GatewayError not_found
     */
    async get(identityId: string, reference: string): Promise<ChatView> {
      const chat = await existing(identityId, reference)
      return chatView(chat, await devices.linkedFirst(identityId))
    },

    /**
     * Messages that have all of the words, newest first.
     * @throws GatewayError bad_request (no word), not_found (no such chat or device)
     */
    async search(
      identityId: string,
      { query, chatId, deviceId, limit, after }: SearchOf,
    ): Promise<Page<ChatMessageView, FoundPlace>> {
      const words = wordsIn(query)
      if (words.length === 0) throw new GatewayError('bad_request', 'query: expected a word to look for')
      const rooms = chatId === undefined ? null : await said.roomsOf(await existing(identityId, chatId))
      const device = deviceId === undefined ? null : await deviceOf(identityId, deviceId, null)
      const deviceRowId = device?.id ?? null
      const rows = await index.find({
        identityId,
        rooms,
        deviceRowId,
        words,
        before: after,
        limit: limit + 1,
      })
      const page = rows.slice(0, limit)
      const chatOf = await chatsOf(identityId, page)
      const messageView = messageViews(await said.belongings(identityId, page))
      const data: ChatMessageView[] = []
      for (const row of page) {
        const chat = chatOf.get(row.roomId)
        if (chat) data.push(await messageView(row, chat))
      }
      const last = rows.length > limit ? page.at(-1) : undefined
      return { data, next: last ? [last.sentAt, last.seq] : null }
    },

    /**
     * Messages of a chat in all of its rooms, newest first.
     * @param reference as of `get`
     * @throws GatewayError not_found
     */
    async messages(
      identityId: string,
      reference: string,
      asked: PageAsked<MessagePlace>,
    ): Promise<Page<ChatMessageView, MessagePlace>> {
      return messagesOf(await existing(identityId, reference), asked)
    },
  }
}

/** @returns words with a letter or a digit; the rest is nothing to look for */
function wordsIn(query: string): string[] {
  return query.split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word))
}

export function isListed({ kind }: Chat): boolean {
  return (LISTED_CHAT_KINDS as readonly ChatKind[]).includes(kind)
}

/** Case and accents don't count, as in the search of messages. */
function folded(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
}

function matcherOf(query: string): (chat: Chat) => boolean {
  const wanted = folded(query.trim())
  const digits = phoneDigits(wanted)
  return ({ name, channelId }) => {
    const texts = [name, channelId ?? ''].map(folded)
    return texts.some(text => text.includes(wanted) || (digits !== null && text.includes(digits)))
  }
}
