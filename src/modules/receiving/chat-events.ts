/** Names the event of something said by the chat that it is said in, and by who says it. */
import type { MessageContent } from '../../domain/facts.ts'
import type { ChatKind, MessageEventName } from '../../domain/states.ts'
import type { ChatState } from './plan-types.ts'

/** Chats in which what is said is told; undefined: as it is, else as a post. */
const TOLD_IN: ReadonlyMap<ChatKind, MessageEventName | undefined> = new Map([
  ['dm', undefined],
  ['group', undefined],
  ['channel', 'channel.posted'],
  ['status', 'status.posted'],
])

/** True for chats with people; spaces and rooms with the bridge's bot are none. */
export function isToldIn({ kind }: Pick<ChatState, 'kind'>): boolean {
  return TOLD_IN.has(kind)
}

/**
 * The bridge's bot speaks for a channel, as nobody shows who writes there. Elsewhere it has notices
 * about the chat, which nobody should answer as a person's words.
 * @returns null when there is nothing to tell
 */
export function toldIn(
  { kind, bridgeBot }: Pick<ChatState, 'kind' | 'bridgeBot'>,
  sender: string,
  content: MessageContent,
): MessageContent | null {
  if (sender === bridgeBot && kind !== 'channel')
    return content.kind === 'notice' ? { ...content, event: 'chat.notice' } : null
  const posted = TOLD_IN.get(kind)
  if (posted === undefined) return content
  switch (content.event) {
    case 'message.received':
    case 'message.edited':
    case 'message.deleted':
      return { ...content, event: posted }
    // Nobody asks for posts to learn how others like them.
    case 'message.reaction':
      return null
    default:
      return content
  }
}
