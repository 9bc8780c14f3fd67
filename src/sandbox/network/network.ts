/**
 * The rules of the network: who receives a message, who echoes it, which accounts are linked.
 *
 * One transaction holds a message, its automatic answers and the deliveries to linked accounts: a
 * kill leaves all or nothing of them. Nothing here knows Matrix.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Committer, Synchronous } from '../../lib/group-commit.ts'
import { type PlatformFacts, platformFacts, type SandboxPlatform } from '../platforms.ts'
import { backfill } from './backfill.ts'
import { effectOf } from './chat-change.ts'
import { answersEcho, echoOf, isEchoed, MESSAGES_LOOKED_AT } from './echo.ts'
import type { NetworkStore } from './store.ts'
import {
  type Chat,
  type ChatChange,
  type Contact,
  type Content,
  type Delivery,
  directChatId,
  isUnshown,
  type Login,
  type Media,
  type Message,
  type NewGroup,
  type Origin,
  type Phone,
  STATUS_POSTS,
} from './types.ts'
import { createTyping } from './typing.ts'

/** A message entering the network. */
interface NewMessage {
  chat: Chat
  sender: string
  content: Content
  /** Absent when written on the phone itself. */
  origin?: Origin
}

/** A change of a chat by one of its members. */
interface NewChange {
  chat: Chat
  by: string
  change: ChatChange
  /** The new picture. */
  picture?: Media | undefined
  origin?: Origin
}

/** An accepted message and its pending deliveries. */
export interface Posted {
  message: Message
  chat: Chat
  deliveries: Delivery[]
}

/** Changes reported to listeners, always once they are on disk. */
export type NetworkChange =
  | { kind: 'posted'; posted: Posted }
  | { kind: 'linked'; login: Login; deliveries: Delivery[] }
  | { kind: 'unlinked'; login: Login; by: 'user' | 'phone' }
  | { kind: 'delivered'; phones: readonly string[]; messageId: string }
  | { kind: 'moved'; phone: string; isNewRoom: boolean }
  | { kind: 'typing'; chat: Chat; phone: string; isTyping: boolean }
  | { kind: 'directory' }

export type Network = ReturnType<typeof createNetwork>

export function createNetwork(store: NetworkStore, committer: Committer, clock: Clock) {
  const typing = createTyping(clock)
  const listeners = new Set<(change: NetworkChange) => void>()

  function notify(change: NetworkChange): void {
    for (const listener of listeners) listener(change)
  }

  function postOne({ chat, sender, content, origin }: NewMessage): Posted {
    const heard = heardBy(chat, sender)
    const message = store.addMessage(heard, sender, content, clock.now())
    // Who writes has read what was there.
    if (!isUnshown(content.type)) store.putRead(chat.id, sender, message.seq)
    const deliveries = store.addDeliveries(heard, message.seq, origin?.loginId)
    return { message, chat, deliveries }
  }

  /** The chat without those that want to hear nothing from the sender. */
  function heardBy(chat: Chat, sender: string): Chat {
    if (chat.group) return chat
    const deaf = store.blockers(chat.id)
    return deaf.length === 0
      ? chat
      : { ...chat, members: chat.members.filter(phone => phone === sender || !deaf.includes(phone)) }
  }

  /** Stores a message and its echoes. `announce` the result once the caller's work is committed. */
  function postInTransaction(message: NewMessage): Posted[] {
    const first = take(message)
    return [first, ...echoesOf(message, first.message).map(postOne)]
  }

  function take(message: NewMessage): Posted {
    const posted = postOne(message)
    if (message.origin) store.takeEvent({ ...message.origin, messageId: posted.message.id })
    return posted
  }

  /**
   * Stores how far a phone has read a chat.
   * @param exceptLoginId the device it was read on, which knows
   * @returns null when it had read as far
   */
  function readInTransaction(
    chat: Chat,
    phone: string,
    upTo: Message,
    exceptLoginId?: string,
  ): Posted | null {
    if (!store.putRead(chat.id, phone, upTo.seq) || isForPosts(chat)) return null
    const message = store.addMessage(chat, phone, { type: 'read', text: '', target: upTo.id }, clock.now())
    return { message, chat, deliveries: store.addDeliveries(chat, message.seq, exceptLoginId) }
  }

  /**
   * Stores a change of a chat, as far as it changes something.
   * @returns what its members' devices are to learn; those that leave it, too
   */
  function changeInTransaction({ chat, by, change, picture, origin }: NewChange): Posted {
    const effective = effectOf(chat, change)
    const affected = { ...chat, members: [...new Set([...chat.members, ...(effective.added ?? [])])] }
    const content: Content = { type: 'change', text: '', change: effective, media: picture }
    const posted = take({ chat: affected, sender: by, content, ...(origin ? { origin } : {}) })
    store.changeChat(chat, effective, picture?.id ?? null, clock.now())
    return posted
  }

  async function change(wanted: NewChange): Promise<Chat> {
    const posted = await committer.write(() => changeInTransaction(wanted))
    announce([posted])
    notify({ kind: 'directory' })
    return store.chat(wanted.chat.id) ?? wanted.chat
  }

  /**
   * Phones that aren't linked answer linked devices, but not one another nor an answer to an echo,
   * so that no echo is echoed.
   */
  function echoesOf({ chat, sender, content, origin }: NewMessage, message: Message): NewMessage[] {
    if (!isEchoed(content) || isForPosts(chat)) return []
    const facts = platformFacts(chat.platform)
    if (!origin && !store.loginOfPhone(facts, sender)) return []
    const echoing = chat.members.filter(phone => phone !== sender && answersByItself(store, facts, phone))
    for (const phone of echoing) store.putRead(chat.id, phone, message.seq)
    if (echoing.length === 0 || (origin && isAnswerToEcho(chat, message, origin))) return []
    return echoing.map(phone => ({ chat, sender: phone, content: echoOf(content) }))
  }

  /** A message written on the phone itself comes from a person. */
  function isAnswerToEcho(chat: Chat, message: Message, { roomId }: Origin): boolean {
    const recent = store.lastMessages(message.sender, chat.id, MESSAGES_LOOKED_AT)
    return answersEcho(message, {
      earlier: recent.filter(({ seq }) => seq < message.seq),
      quoted: message.replyTo ? store.message(message.replyTo) : undefined,
      isKnown: ({ id }) => store.eventOfMessage(id, roomId) !== undefined,
    })
  }

  /** Writes a change that lists of phones and groups show. */
  async function changeDirectory<T>(work: () => Synchronous<T>): Promise<T> {
    const value = await committer.write(work)
    notify({ kind: 'directory' })
    return value
  }

  function announce(posted: readonly Posted[]): void {
    for (const one of posted) notify({ kind: 'posted', posted: one })
  }

  return {
    store,
    postInTransaction,
    readInTransaction,
    changeInTransaction,
    change,
    announce,
    notify,

    /** Posts and announces. @returns the message, durable */
    async post(message: NewMessage): Promise<Message> {
      const posted = await committer.write(() => postInTransaction(message))
      announce(posted)
      const [first] = posted
      if (!first) throw new Error('the network took no message')
      return first.message
    },

    /** @returns the direct chat of two phones; commits only when it is new */
    async directChat(platform: SandboxPlatform, one: string, other: string): Promise<Chat> {
      const existing = store.chat(directChatId(platform, one, other))
      return existing ?? committer.write(() => store.ensureDirectChat(platform, one, other, clock.now()))
    },

    /**
     * The chat of a platform's status posts. Its members are those who see the author's, having the
     * author in their address book.
     */
    statusChat: (platform: SandboxPlatform, author: string): Promise<Chat> =>
      committer.write(() => {
        const members = [...new Set([author, ...store.phonesKnowing(author)])]
        const name = `${platformFacts(platform).displayName} Status Broadcast`
        const group = { groupId: STATUS_POSTS, name, inviteCode: '', kind: 'status' } as const
        return store.addGroup(platform, { ...group, owner: null, admins: [] }, members, clock.now())
      }),

    /** Links an account to a Matrix user, who receives the last messages of its chats. */
    async link(platform: SandboxPlatform, phone: string, userId: string): Promise<Login> {
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

    /** @returns true if it was linked */
    async unlink(platform: SandboxPlatform, loginId: string, by: 'user' | 'phone'): Promise<boolean> {
      const login = store.login(platform, loginId)
      const dropped = await committer.write(() => store.dropLogin(platform, loginId))
      if (login && dropped) notify({ kind: 'unlinked', login, by })
      return dropped
    },

    /** Has a phone hear nothing from the other of a direct chat, or hear it again. */
    block: (chat: Chat, phone: string, isBlocked: boolean) =>
      changeDirectory(() => store.setBlocked(chat.id, phone, isBlocked)),

    /** @param picture what its owner shows from now on */
    savePhone: (phone: Phone, contacts: readonly Contact[], picture?: Media) =>
      changeDirectory(() => {
        if (picture) store.addMedia(picture, clock.now())
        store.putPhone({ ...phone, avatarId: picture?.id ?? phone.avatarId }, clock.now())
        for (const contact of contacts) store.putContact(phone.phone, contact.phone, contact.name)
      }),

    /**
     * Moves the direct chats with a phone to its hidden id, or back to its number.
     * @param isNewRoom has their rooms closed in favour of new ones
     */
    async moveChats(phone: string, chatsByNumber: boolean, isNewRoom: boolean): Promise<void> {
      await changeDirectory(() => store.putPhone({ ...store.phone(phone), chatsByNumber }, clock.now()))
      notify({ kind: 'moved', phone, isNewRoom })
    },

    /**
     * Makes a group. Its members' devices learn of it at once; followers of a channel with its
     * first post.
     * @param disappearingS how long its messages stay
     */
    async createGroup(
      platform: SandboxPlatform,
      group: NewGroup & { disappearingS?: number },
      members: readonly string[],
      { by = members[0], picture }: { by?: string | undefined; picture?: Media | undefined } = {},
    ): Promise<Chat> {
      const facts = platformFacts(platform)
      const seed = `${group.name}:${group.inviteCode}`
      const groupId = (group.kind === 'channel' && facts.posts?.channelId(seed)) || facts.groupId(seed)
      const { chat, posted } = await changeDirectory(() => {
        const shown = { ...group, groupId, avatarId: picture?.id ?? null }
        const chat = store.addGroup(platform, shown, members, clock.now())
        if (group.kind !== 'group' || by === undefined) return { chat, posted: [] }
        const change = { added: chat.members, ...(picture ? { avatar: true } : {}) }
        const content: Content = { type: 'change', text: '', change, media: picture }
        return { chat, posted: [postOne({ chat, sender: by, content })] }
      })
      announce(posted)
      return chat
    },

    joinGroup: (chat: Chat, phone: string): Promise<Chat> =>
      change({ chat, by: phone, change: { added: [phone] } }),

    /** Marks a chat as read on a phone, up to a message. */
    async read(chat: Chat, phone: string, upTo: Message): Promise<void> {
      const posted = await committer.write(() => readInTransaction(chat, phone, upTo))
      if (posted) announce([posted])
    },

    /** Tells others that a phone types, or has stopped. Nothing of it is kept. */
    type(chat: Chat, phone: string, isTyping: boolean): void {
      typing.set(chat.id, phone, isTyping)
      notify({ kind: 'typing', chat, phone, isTyping })
    },
    /** Phones that type in a chat now. */
    typists: typing.in,

    /** @returns a function that ends it */
    subscribe(listener: (change: NetworkChange) => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** True if a phone answers linked devices: it isn't linked, and echoing isn't switched off. */
export function answersByItself(store: NetworkStore, facts: PlatformFacts, phone: string): boolean {
  return store.phone(phone).echo && !store.loginOfPhone(facts, phone)
}

/** True for chats in which some post and others only look on. */
function isForPosts({ group }: Chat): boolean {
  return group !== null && group.kind !== 'group'
}
