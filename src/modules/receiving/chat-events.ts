/** Names the event of something said by the kind of its chat. */
import type { MessageContent } from '../../domain/facts.ts'
import type { ChatKind, MessageEventName } from '../../domain/states.ts'
import type { ChatState } from './plan-types.ts'

/** Chats with people, and the event of their posts; null where people talk to each other. */
const POSTED_AS: ReadonlyMap<ChatKind, MessageEventName | null> = new Map([
  ['dm', null],
  ['group', null],
  ['channel', 'channel.posted'],
  ['status', 'status.posted'],
])

/**
 * The bridge's bot speaks for a channel, as bridges don't show who writes there. Elsewhere it only
 * comments on the bridge's work, as message statuses do.
 * @returns null when it is no event: so in spaces and in rooms with the bot
 */
export function eventContent(
  { kind, bridgeBot }: Pick<ChatState, 'kind' | 'bridgeBot'>,
  sender: string,
  content: MessageContent,
): MessageContent | null {
  const posted = POSTED_AS.get(kind)
  if (posted === undefined || (sender === bridgeBot && kind !== 'channel')) return null
  if (posted === null) return content
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
