/** Makes what is stored of something said in a chat, and the event that tells of it. */
import type { Device } from '../../db/schema/index.ts'
import type { MessageContent } from '../../domain/facts.ts'
import type { Direction } from '../../domain/states.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { randomToken } from '../../lib/tokens.ts'
import type { NewChatMessage } from '../history/history-repository.ts'
import type { HeldFact } from './held-events.ts'
import type { ChatState, PlannedMessage } from './plan-types.ts'

interface People {
  /** Matrix user of the identity. */
  to: string
  /** The sender's, empty if unknown. */
  name: string
  /** The sender's, null if unknown. */
  phone: string | null
}

export function plannedMessage(
  chat: ChatState,
  device: Device,
  said: HeldFact,
  content: MessageContent,
  { people, direction, isPast }: { people: People; direction: Direction; isPast: boolean },
): PlannedMessage {
  const media = content.media && splitMedia(content.media)
  // The bot is nobody: it speaks for its channel.
  const isBot = said.sender === chat.bridgeBot
  const name = isBot ? chat.name : people.name
  const event = direction === 'out' ? 'message.own' : content.event
  const payload = () => ({
    id: said.eventId,
    type: content.type,
    from: said.sender,
    to: people.to,
    message: content.message,
    device_id: device.deviceId,
    media: media?.info ?? null,
    event,
    kind: content.kind,
    timestamp: rfc3339(said.sentAt),
    platform: device.platform,
    sender: { id: said.sender, phone: people.phone, name },
    // A dm without a name is called by whom it is with; a group isn't by who happens to speak, and
    // nobody by whose phone it is.
    chat: { id: said.roomId, kind: chat.kind, name: chat.name || nameOfDm(chat, direction, name) },
    chat_id: chat.id,
    reply_to: content.replyTo,
    relates_to: content.relatesTo,
    location: content.location,
    ...(content.mentions ? { mentions: content.mentions } : {}),
    ...(content.kind === 'reaction' ? { removed: content.removed ?? false } : {}),
    ...(content.poll ? { poll: content.poll } : {}),
    ...(content.vote ? { vote: content.vote } : {}),
    ...(content.call ? { call: content.call } : {}),
  })
  return {
    history: historyOf(chat, device, said, content, { direction, mediaId: media?.id ?? null }),
    isRemoval: said.content?.event === 'message.deleted',
    senderUserId: isBot ? '' : said.sender,
    media,
    payload: isPast ? null : payload(),
  }
}

function nameOfDm({ kind }: ChatState, direction: Direction, sender: string): string {
  return kind === 'dm' && direction === 'in' ? sender : ''
}

function historyOf(
  { identityId }: ChatState,
  device: Device,
  { eventId, roomId, sender, sentAt }: HeldFact,
  { kind, message, replyTo, relatesTo, ...content }: MessageContent,
  of: Pick<NewChatMessage, 'direction' | 'mediaId'>,
): NewChatMessage {
  const place = { identityId, roomId, eventId, deviceRowId: device.id, senderUserId: sender }
  return { ...place, ...of, kind, text: message, content, replyTo, relatesTo, sentAt }
}

function splitMedia({ mxcUri, ...info }: NonNullable<MessageContent['media']>): PlannedMessage['media'] {
  return { id: randomToken('file_', 18), mxcUri, info }
}
