/**
 * Hands a message over to its room in the form its network takes: one event, or two where a caption
 * must go behind its file.
 */
import type { Message } from '../../db/schema/index.ts'
import { GatewayError, isPassing, messageOf } from '../../domain/errors.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import type { MediaFiles } from '../media/media-store.ts'
import { captionId, type SentCaption } from './caption-repository.ts'
import { messageContent } from './content.ts'
import { planFile, textRefusal, UNSUPPORTED } from './file-plan.ts'
import type { OutboxQueue } from './queue-repository.ts'

export interface HandedOver {
  eventId: string
  /** Null where it isn't known. */
  bridgeBot: string | null
  /** Where it went by itself. */
  caption?: SentCaption
}

/**
 * @throws GatewayError conflict in an encrypted chat, unprocessable when the chat's network won't
 * have it, and as sessions do
 */
export type Handover = (roomId: string, session: MatrixSession, message: Message) => Promise<HandedOver>

export function createHandover(options: {
  queue: Pick<OutboxQueue, 'isCaptionSent'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  media: Pick<MediaFiles, 'upload'>
}): Handover {
  const { queue, chatRooms, media } = options

  async function handOver(roomId: string, session: MatrixSession, message: Message): Promise<HandedOver> {
    const chat = await chatRooms.ensureEntered(message.identityId, roomId)
    if (chat.encrypted) {
      throw new GatewayError(
        'conflict',
        'room_encrypted: the chat is end-to-end encrypted, so nothing is sent in clear',
      )
    }
    const { content, captionApart } = await contentFor(message, chat.takes)
    const isRepeat = message.attempts > 1
    const eventId = await session.send(roomId, 'm.room.message', content, transactionId(message), isRepeat)
    const caption =
      captionApart === null ? undefined : await sendCaption(roomId, session, message, captionApart)
    return { eventId, bridgeBot: chat.bridgeBot, ...(caption && { caption }) }
  }

  /**
   * Sends the caption as a message of its own behind its file. A crash before both are noted
   * repeats both, as the same events.
   * @throws GatewayError when it can be sent later: then the file is tried again, too, which is the
   * same event
   */
  async function sendCaption(
    roomId: string,
    session: MatrixSession,
    message: Message,
    text: string,
  ): Promise<SentCaption | undefined> {
    // A file that the network didn't take is sent again, as a new event; its caption was not
    // refused.
    if (message.resends > 0 && (await queue.isCaptionSent(message.id))) return undefined
    const content = { msgtype: 'm.text', body: text }
    try {
      const txnId = captionId(message.id)
      return { eventId: await session.send(roomId, 'm.room.message', content, txnId, message.attempts > 1) }
    } catch (error) {
      if (!(error instanceof GatewayError) || isPassing(error)) throw error
      return { failed: messageOf(error) }
    }
  }

  /** @throws GatewayError unprocessable, with the limit, when the chat's network won't have it */
  async function contentFor(
    message: Message,
    takes: RoomFeatures | null,
  ): Promise<{ content: Record<string, unknown>; captionApart: string | null }> {
    const { mediaId, text } = message
    if (mediaId === null) {
      const refused = textRefusal(text ?? '', takes)
      if (refused !== null) throw new GatewayError('unprocessable', `${UNSUPPORTED}${refused}`)
      return { content: messageContent(message, undefined), captionApart: null }
    }
    const { file, mxcUri } = await media.upload(mediaId)
    const plan = planFile(file, text, takes)
    if ('refused' in plan) throw new GatewayError('unprocessable', plan.refused)
    const content = messageContent(message, { media: file, mxcUri, plan })
    return { content, captionApart: plan.isCaptionApart ? text : null }
  }

  return handOver
}

/**
 * The same for each repeat of a try, so that the homeserver answers the same event; another when it
 * is sent again.
 */
function transactionId({ id, resends }: Message): string {
  return resends === 0 ? id : `${id}.${resends}`
}
