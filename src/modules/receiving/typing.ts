/** Tells those who listen right now who types in a chat. */
import { LRUCache } from 'lru-cache'
import type { Chat, Device } from '../../db/schema/index.ts'
import type { EventSink, TypingNotice } from '../../domain/ports.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { type ChatKnowledge, deviceOfChat, type KnowledgeOf } from '../chats/knowledge.ts'
import type { PeoplesPhones } from '../chats/phones.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import type { LiveEvents } from '../events/live-events.ts'
import { chatKey } from './plan.ts'

export interface TypingOptions {
  knowledgeOf: KnowledgeOf
  phones: Pick<PeoplesPhones, 'of'>
  live: Pick<LiveEvents, 'isHeard' | 'isHeardBy' | 'tell'>
  clock: Clock
  logger: Logger
}

/** Chats in which somebody may be typing. */
const MAX_CHATS = 10_000
const NOBODY: ReadonlySet<string> = new Set()

export function createTyping(options: TypingOptions): NonNullable<EventSink['typing']> {
  const { knowledgeOf, phones, live, clock, logger } = options
  /** Who types in a chat, by `chatKey`: a notice names all, an event those who begin or end. */
  const typists = new LRUCache<string, ReadonlySet<string>>({ max: MAX_CHATS })
  let last = Promise.resolve()

  async function take(notices: readonly TypingNotice[], hearer: string | null): Promise<void> {
    const users = notices.flatMap(({ userIds }) => userIds)
    const rooms = notices.map(({ roomId }) => roomId)
    const known = await knowledgeOf([], { rooms, users: hearer === null ? users : [...users, hearer] })
    const only = hearer === null ? null : known.identities.get(hearer)
    for (const { roomId, userIds } of notices) {
      for (const chat of known.chats) {
        const isHearers = only === null || only === chat.identityId
        if (chat.roomId === roomId && isHearers && live.isHeardBy(chat.identityId))
          await tell(chat, new Set(userIds), known)
      }
    }
  }

  async function tell(chat: Chat, now: ReadonlySet<string>, known: ChatKnowledge): Promise<void> {
    const device = deviceOfChat(known, chat)
    const key = chatKey(chat.identityId, chat.roomId)
    const before = typists.get(key) ?? NOBODY
    if (now.size === 0) typists.delete(key)
    else typists.set(key, now)
    if (!device || chat.membership !== 'joined') return
    for (const userId of now.difference(before)) await tellOf(chat, device, userId, true, known)
    for (const userId of before.difference(now)) await tellOf(chat, device, userId, false, known)
  }

  async function tellOf(
    chat: Chat,
    device: Device,
    userId: string,
    typing: boolean,
    { identities, names }: ChatKnowledge,
  ): Promise<void> {
    if (identities.has(userId) || userId === chat.bridgeBot || isOwnGhost(userId, device)) return
    const name = names.get(userId) ?? ''
    live.tell(chat.identityId, {
      event: 'chat.typing',
      timestamp: rfc3339(clock.now()),
      device_id: device.deviceId,
      platform: device.platform,
      chat_id: chat.id,
      chat: { id: chat.roomId, kind: chat.kind, name: chat.name || (chat.kind === 'dm' ? name : '') },
      sender: { id: userId, phone: await phones.of(device, userId), name },
      typing,
    })
  }

  return (notices, hearer) => {
    if (notices.length === 0 || !live.isHeard) return
    last = last
      .then(() => take(notices, hearer))
      .catch(error => logger.debug({ err: error }, "who types couldn't be told"))
  }
}
