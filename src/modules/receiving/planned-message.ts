/** Makes the event of something said in a chat. */
import type { Device } from '../../db/schema/index.ts'
import type { MessageContent } from '../../domain/facts.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { randomToken } from '../../lib/tokens.ts'
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
  { eventId, roomId, sender, sentAt }: HeldFact,
  content: MessageContent,
  people: People,
): PlannedMessage {
  const media = content.media && splitMedia(content.media)
  // The bot is nobody: it speaks for its channel.
  const isBot = sender === chat.bridgeBot
  const name = isBot ? chat.name : people.name
  return {
    identityId: chat.identityId,
    deviceRowId: device.id,
    roomId,
    senderUserId: isBot ? '' : sender,
    media,
    payload: {
      id: eventId,
      type: content.type,
      from: sender,
      to: people.to,
      message: content.message,
      device_id: device.deviceId,
      media: media?.info ?? null,
      event: content.event,
      kind: content.kind,
      timestamp: rfc3339(sentAt),
      platform: device.platform,
      sender: { id: sender, phone: people.phone, name },
      // A dm without a name is called by whom it is with; a group isn't by who happens to speak.
      chat: { id: roomId, kind: chat.kind, name: chat.name || (chat.kind === 'dm' ? name : '') },
      chat_id: chat.id,
      reply_to: content.replyTo,
      relates_to: content.relatesTo,
      location: content.location,
      ...(content.event === 'message.reaction' ? { removed: content.removed ?? false } : {}),
      ...(content.poll ? { poll: content.poll } : {}),
      ...(content.vote ? { vote: content.vote } : {}),
      ...(content.call ? { call: content.call } : {}),
    },
  }
}

function splitMedia({ mxcUri, ...info }: NonNullable<MessageContent['media']>): PlannedMessage['media'] {
  return { id: randomToken('file_', 18), mxcUri, info }
}
