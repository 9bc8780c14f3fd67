/**
 * The rules of the network: who gets a message, who echoes it, which accounts are linked.
 *
 * A message, what it is answered with by itself, and what is owed to linked accounts are one transaction: whatever moment
 * the process is killed at, either all of it happened or none. Nothing here knows Matrix.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Committer } from '../../lib/group-commit.ts'
import { type PlatformFacts, platformFacts, type SandboxPlatform } from '../platforms.ts'
import { directChatId } from './chat-ids.ts'
import { answersEcho, echoOf, isEchoed, MESSAGES_LOOKED_AT } from './echo.ts'
import type { NetworkStore } from './store.ts'
import type { Chat, Content, Delivery, Login, Message, Origin, Phone } from './types.ts'

/** How many messages of each chat a device gets that is linked later. */
const BACKFILL_PER_CHAT = 20

/** A message on its way into the network. */
interface NewMessage {
  chat: Chat
  sender: string
  content: Content
  /** Absent when it was written on the phone itself. */
  origin?: Origin
}

/** A message that the network took, and to whom it is owed. */
export interface Posted {
  message: Message
  chat: Chat
  deliveries: Delivery[]
}

/** What listeners hear, always after it is on disk. */
export type NetworkChange =
  | { kind: 'posted'; posted: Posted }
  | { kind: 'linked'; login: Login; deliveries: Delivery[] }
  | { kind: 'unlinked'; login: Login; by: 'user' | 'phone' }
  | { kind: 'delivered'; phones: readonly string[]; messageId: string }
  | { kind: 'directory' }

export interface Network {
  readonly store: NetworkStore
  /** @returns the direct chat of two phones; a commit only when it is their first */
  directChat(platform: SandboxPlatform, one: string, other: string): Promise<Chat>
  /** Stores a message and, for a linked device's, the echoes. Runs inside a transaction; `announce` what it returns after. */
  postInTransaction(message: NewMessage): Posted[]
  announce(posted: readonly Posted[]): void
  /** Both at once. @returns the message, durable */
  post(message: NewMessage): Promise<Message>
  /** Links an account to a Matrix user, who gets the last messages of its chats. */
  link(platform: SandboxPlatform, phone: string, userId: string): Promise<Login>
  /** @returns whether it was linked */
  unlink(platform: SandboxPlatform, loginId: string, by: 'user' | 'phone'): Promise<boolean>
  savePhone(phone: Phone, contacts: readonly { phone: string; name: string }[]): Promise<Phone>
  createGroup(
    platform: SandboxPlatform,
    group: { name: string; inviteCode: string },
    members: readonly string[],
  ): Promise<Chat>
  joinGroup(chat: Chat, phone: string): Promise<Chat>
  subscribe(listener: (change: NetworkChange) => void): () => void
  notify(change: NetworkChange): void
}

export function createNetwork(store: NetworkStore, committer: Committer, clock: Clock): Network {
  const listeners = new Set<(change: NetworkChange) => void>()

  function notify(change: NetworkChange): void {
    for (const listener of listeners) listener(change)
  }

  function postOne({ chat, sender, content, origin }: NewMessage): Posted {
    const message = store.addMessage(chat, sender, content, clock.now())
    return { message, chat, deliveries: store.addDeliveries(chat, message.seq, origin?.loginId ?? null) }
  }

  function postInTransaction(message: NewMessage): Posted[] {
    const first = postOne(message)
    if (message.origin) store.takeEvent(message.origin, first.message.id)
    return [first, ...echoesOf(message, first.message).map(postOne)]
  }

  /**
   * Phones that aren't linked answer linked devices: never one another, nor an answer to an echo,
   * so that no echo is echoed.
   */
  function echoesOf({ chat, sender, content, origin }: NewMessage, message: Message): NewMessage[] {
    if (!isEchoed(content)) return []
    const facts = platformFacts(chat.platform)
    if (!origin && !store.loginOfPhone(facts, sender)) return []
    const echoing = chat.members.filter(phone => phone !== sender && answersByItself(store, facts, phone))
    if (echoing.length === 0 || (origin && isAnswerToEcho(chat, message, origin))) return []
    return echoing.map(phone => ({ chat, sender: phone, content: echoOf(content) }))
  }

  /** Written on the phone itself it is a person's. */
  function isAnswerToEcho(chat: Chat, message: Message, { roomId }: Origin): boolean {
    const recent = store.lastMessages(message.sender, chat.id, MESSAGES_LOOKED_AT)
    return answersEcho(message, {
      earlier: recent.filter(({ seq }) => seq < message.seq),
      quoted: message.replyTo === undefined ? null : store.message(message.replyTo),
      isKnown: ({ id }) => store.eventOfMessage(id, roomId) !== null,
    })
  }

  function announce(posted: readonly Posted[]): void {
    for (const one of posted) notify({ kind: 'posted', posted: one })
  }

  return {
    store,
    postInTransaction,
    announce,
    notify,

    async post(message) {
      const posted = await committer.write(() => postInTransaction(message))
      announce(posted)
      const [first] = posted
      if (!first) throw new Error('the network took no message')
      return first.message
    },

    async directChat(platform, one, other) {
      const existing = store.chat(directChatId(platform, one, other))
      return existing ?? committer.write(() => store.ensureDirectChat(platform, one, other, clock.now()))
    },

    async link(platform, phone, userId) {
      const login: Login = {
        platform,
        id: platformFacts(platform).accountId(phone),
        phone,
        userId,
        linkedAt: clock.now(),
      }
      const deliveries = await committer.write(() => {
        store.addPhone(phone, login.linkedAt)
        if (store.login(platform, login.id)?.userId !== userId) store.dropLogin(platform, login.id)
        store.putLogin(login)
        return backfill(store, login)
      })
      notify({ kind: 'linked', login, deliveries })
      return login
    },

    async unlink(platform, loginId, by) {
      const login = store.login(platform, loginId)
      const dropped = await committer.write(() => store.dropLogin(platform, loginId))
      if (login && dropped) notify({ kind: 'unlinked', login, by })
      return dropped
    },

    async savePhone(phone, contacts) {
      await committer.write(() => {
        store.putPhone(phone, clock.now())
        for (const contact of contacts) store.putContact(phone.phone, contact)
      })
      notify({ kind: 'directory' })
      return phone
    },

    async createGroup(platform, group, members) {
      const groupId = platformFacts(platform).groupId(`${group.name}:${group.inviteCode}`)
      const chat = await committer.write(() =>
        store.addGroup(platform, { groupId, ...group }, members, clock.now()),
      )
      notify({ kind: 'directory' })
      return chat
    },

    async joinGroup(chat, phone) {
      await committer.write(() => store.addMember(chat.id, phone, clock.now()))
      notify({ kind: 'directory' })
      return store.chat(chat.id) ?? chat
    },

    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Whether a phone answers linked devices: it isn't one itself, and nobody told it not to. */
export function answersByItself(store: NetworkStore, facts: PlatformFacts, phone: string): boolean {
  return store.phone(phone).echo && !store.loginOfPhone(facts, phone)
}

/** Owes a newly linked account the end of each of its chats, as far as its rooms don't have it. */
function backfill(store: NetworkStore, login: Login): Delivery[] {
  return store
    .chatsOfPhone(login.phone)
    .filter(chat => chat.platform === login.platform)
    .flatMap(chat => store.lastMessages(login.phone, chat.id, BACKFILL_PER_CHAT))
    .filter(message => !store.isInPortal(login.id, message.chatId, message.id))
    .sort((one, other) => one.seq - other.seq)
    .flatMap(message => store.addDelivery(login, message.chatId, message.seq, true))
}
