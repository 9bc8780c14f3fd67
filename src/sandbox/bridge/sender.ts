/** Outgoing: what each message of the network is in a room, and who says it there. */
import { MatrixError } from '../../lib/matrix-error.ts'
import type { Chat, Login, Media, Message } from '../network/types.ts'
import { createChatChanges } from './chat-changes.ts'
import { type BridgeContext, DIRECT, writingIn } from './context.ts'
import type { Writing } from './formatted-text.ts'
import type { Ghosts } from './ghosts.ts'
import { callContent, pollContent, voteContent } from './polls-and-calls.ts'
import type { Portal, Portals } from './portals.ts'
import { editContent, type MatrixContent, reactionContent, toMatrix } from './to-matrix.ts'
import { hasLostFile, Undeliverable } from './uploads.ts'

interface SenderParts {
  portals: Portals
  ghosts: Ghosts
  mxcOf(media: Media): Promise<string>
  /** The room's event of a message. */
  eventIn(portal: Portal, messageId: string | null | undefined): string | undefined
}

export function createSender(context: BridgeContext, { portals, ghosts, mxcOf, eventIn }: SenderParts) {
  const { facts, homeserver, logger, network } = context
  const { store } = network
  const changes = createChatChanges(context, portals, ghosts, mxcOf)

  /** @returns the event, or null when the room lacks the event that the message refers to */
  async function sendInto(
    portal: Portal,
    login: Login,
    chat: Chat,
    message: Message,
  ): Promise<string | null> {
    switch (message.type) {
      case 'read': {
        const target = eventIn(portal, message.target)
        if (target)
          await homeserver.markRead(portal.roomId, target, await ghosts.ensure(message.sender, chat))
        return null
      }
      case 'change':
        await changes.apply(portal, login, chat, message)
        return null
      case 'reaction':
        return sendReaction(portal, message)
      case 'delete':
        return sendDeletion(portal, message)
      case 'edit':
        return sendEdit(portal, message, writingIn(context, login, chat))
      case 'vote':
        return sendVote(portal, message)
      case 'call':
        return message.sender === login.phone
          ? null
          : send(portal, message, callContent(facts, message.isVideo ?? false))
      case 'poll':
        return message.poll ? send(portal, message, pollContent(facts, message.poll)) : null
      default: {
        if (hasLostFile(message)) throw new Undeliverable('its file is gone')
        const mxc = message.media ? await mxcOf(message.media) : null
        logger.debug({ login: login.id, message: message.id }, 'message to its room')
        return send(
          portal,
          message,
          toMatrix(message, mxc, eventIn(portal, message.replyTo), writingIn(context, login, chat)),
        )
      }
    }
  }

  async function send(portal: Portal, message: Message, { type, content }: MatrixContent): Promise<string> {
    const as = await speakerOf(portal, message)
    const { id: txnId, sentAt } = message
    return homeserver.send({ roomId: portal.roomId, type, txnId, content, as, sentAt })
  }

  /** Undefined for the bot, which says what a channel says to its followers. */
  async function speakerOf({ roomId, loginId }: Portal, message: Message): Promise<string | undefined> {
    const { sender, chatId } = message
    const chat = store.chat(chatId)
    const kind = chat?.group?.kind
    const isOwn = store.login(facts.platform, loginId)?.phone === sender
    if (kind === 'channel' && sender === chat?.group?.owner && !isOwn) return undefined
    // Whoever is heard in these chats enters them then.
    if (chat && (kind === 'channel' || kind === 'status')) await portals.bringGhost(roomId, sender, chat)
    return ghosts.ensure(sender, chat ?? DIRECT)
  }

  async function sendReaction(portal: Portal, message: Message): Promise<string | null> {
    const target = eventIn(portal, message.target)
    if (target === undefined || !message.target) return null
    const replaced = eventIn(portal, store.reactionBefore(message.target, message.sender, message.seq))
    if (replaced !== undefined) await redact(portal, message, replaced)
    if (!message.emoji) return null
    return send(portal, message, reactionContent(target, message.emoji))
  }

  async function sendVote(portal: Portal, message: Message): Promise<string | null> {
    const target = eventIn(portal, message.target)
    const poll = message.target ? store.message(message.target)?.poll : undefined
    const vote = target && poll && voteContent(facts, target, poll, message.options ?? [])
    return vote ? send(portal, message, vote) : null
  }

  async function sendDeletion(portal: Portal, message: Message): Promise<string | null> {
    const target = eventIn(portal, message.target)
    return target === undefined ? null : redact(portal, message, target)
  }

  async function sendEdit(portal: Portal, message: Message, writing: Writing): Promise<string | null> {
    const target = eventIn(portal, message.target)
    const original = message.target ? store.message(message.target) : undefined
    if (target === undefined || !original) return null
    return send(portal, message, editContent(target, original, message, writing))
  }

  /**
   * Redacts as the ghost if the event is its own, else as the bot, which may.
   * @returns the redaction, or null when the homeserver has forgotten the event
   */
  async function redact(portal: Portal, message: Message, eventId: string): Promise<string | null> {
    const { roomId } = portal
    const txnId = `${message.id}-redact`
    const as = await speakerOf(portal, message)
    return homeserver
      .redact(roomId, eventId, txnId, as)
      .catch(error => {
        if (hasStatus(error, 403)) return homeserver.redact(roomId, eventId, txnId)
        throw error
      })
      .catch(error => {
        if (hasStatus(error, 404)) return null
        throw error
      })
  }

  return { sendInto, send, speakerOf }
}

export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof MatrixError && error.status === status
}
