/**
 * Brings what was said before a phone was linked, as bridges do where the homeserver takes it: the
 * end of a chat as one batch at the link, older messages when somebody asks.
 */
import { createHash } from 'node:crypto'
import type { Chat, Delivery, Login, Media, Message } from '../network/types.ts'
import { type BridgeContext, writingIn } from './context.ts'
import type { Writing } from './formatted-text.ts'
import { pollContent, voteContent } from './polls-and-calls.ts'
import type { Portal } from './portals.ts'
import { type MatrixContent, reactionContent, toMatrix } from './to-matrix.ts'
import { hasLostFile } from './uploads.ts'

const OLDER_AT_ONCE = 50

/** A message from before the link that waits for its room. */
export interface Past {
  delivery: Delivery
  message: Message
}

interface HistoryParts {
  eventIn(portal: Portal, messageId: string | null | undefined): string | undefined
  speakerOf(portal: Portal, message: Message): Promise<string | undefined>
  mxcOf(media: Media): Promise<string>
}

export function createHistory(context: BridgeContext, { eventIn, speakerOf, mxcOf }: HistoryParts) {
  const { botUserId, committer, facts, homeserver, network } = context
  const { store } = network

  /**
   * Sends messages of a room that aren't in it yet, oldest first, in one batch.
   * @param isForward behind all that the room has; else before it
   * @returns their events; messages that history leaves out have none
   */
  async function send(
    portal: Portal,
    messages: readonly Message[],
    isForward: boolean,
  ): Promise<Map<string, string>> {
    const sent = new Map<string, string>()
    const login = store.login(facts.platform, portal.loginId)
    const chat = store.chat(portal.chatId)
    if (!login || !chat) return sent
    const writing = writingIn(context, login, chat)
    const events: unknown[] = []
    const find = (messageId: string) => sent.get(messageId) ?? eventIn(portal, messageId)
    for (const message of messages) {
      const told = await contentOf(message, find, writing)
      if (!told) continue
      const event_id = eventIdOf(portal, message)
      sent.set(message.id, event_id)
      const sender = (await speakerOf(portal, message)) ?? botUserId
      events.push({ ...told, event_id, sender, origin_server_ts: message.sentAt })
    }
    if (events.length > 0) await homeserver.sendBatch(portal.roomId, events, isForward)
    return sent
  }

  /** Messages come as they are now, without what changed them or was taken back. */
  async function contentOf(
    message: Message,
    find: (messageId: string) => string | undefined,
    writing: Writing,
  ): Promise<MatrixContent | null> {
    const { target } = message
    const about = target ? find(target) : undefined
    switch (message.type) {
      case 'edit':
      case 'delete':
      case 'call':
      case 'read':
      case 'change':
        return null
      case 'reaction':
        return about && message.emoji && isLatestReaction(message)
          ? reactionContent(about, message.emoji)
          : null
      case 'vote': {
        const poll = target ? store.message(target)?.poll : undefined
        return about && poll ? voteContent(facts, about, poll, message.options ?? []) : null
      }
      case 'poll':
        return message.poll ? pollContent(facts, message.poll) : null
      default: {
        if (message.deletedAt !== null || hasLostFile(message)) return null
        const mxc = message.media ? await mxcOf(message.media) : null
        return toMatrix(message, mxc, message.replyTo ? find(message.replyTo) : undefined, writing)
      }
    }
  }

  function isLatestReaction({ id, target, sender }: Message): boolean {
    return store.reactionBefore(target ?? '', sender, Number.MAX_SAFE_INTEGER) === id
  }

  /** The first of a chat's deliveries that are from before the link, as far as they go together. */
  function pastOf(waiting: readonly Delivery[]): Past[] {
    const past: Past[] = []
    for (const delivery of waiting) {
      const message = delivery.isBackfill ? store.messageAt(delivery.seq) : undefined
      // A message without its file is given up by itself.
      if (!message || hasLostFile(message)) break
      past.push({ delivery, message })
    }
    return past
  }

  return {
    send,
    pastOf,

    /** Brings messages from before those that the room has. @returns false when there are none */
    async sendOlder(portal: Portal, login: Login, chat: Chat): Promise<boolean> {
      const { roomId } = portal
      let before = store.firstInRoom(roomId) ?? Number.MAX_SAFE_INTEGER
      for (;;) {
        const messages = store.messagesBefore(login.phone, chat.id, before, OLDER_AT_ONCE)
        const [oldest] = messages
        if (!oldest) return false
        before = oldest.seq
        const sent = await send(portal, messages, false)
        await committer.write(() => {
          for (const [messageId, eventId] of sent) store.takeEvent({ eventId, roomId, messageId })
        })
        if (sent.size > 0) return true
      }
    },
  }
}

/** The same message has the same event in a repeated batch. */
function eventIdOf({ roomId }: Portal, { id }: Message): string {
  return `$${createHash('sha256').update(`${roomId} ${id}`).digest('base64url')}:sandbox`
}
