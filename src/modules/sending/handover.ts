/**
 * Hands messages over to their room in the form its network takes: one event, several texts
 * together, or two events where a caption must go behind its file.
 */
import type { Message } from '../../db/schema/index.ts'
import { GatewayError, isPassing, messageOf } from '../../domain/errors.ts'
import type { MessageContent } from '../../domain/facts.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import { readBack } from '../../matrix/translate/message.ts'
import { type PlannedFile, planMessage, unsupportedReason } from '../chats/capabilities.ts'
import type { EnteredChat } from '../chats/chat-rooms.ts'
import type { MediaFiles } from '../media/media.ts'
import { captionId, type SentCaption } from './content/caption-repository.ts'
import { type MatrixEvent, messageEvent, textContent } from './content/event.ts'
import type { Mentioned } from './content/formatting.ts'
import type { OutboxQueue } from './queue/queue-repository.ts'

export interface HandedOver {
  eventId: string
  /** Events of the messages behind it that went with it, in their order. */
  alsoSent: readonly string[]
  /** Null where it isn't known. */
  bridgeBot: string | null
  /** Where it went by itself. */
  caption?: SentCaption
  /** As others read it; null: as nothing. Absent for a text. */
  said?: MessageContent | null
}

const OWNERS_ONLY = 'only the owners of a channel post in it'
const MAY_NOT_WRITE =
  'this device may not write in the chat: only its admins may, or the device is no member any more'
const QUOTE_LOST =
  'reply_id: the message that is answered was said in a room that its bridge has closed since, and can’t be quoted any more: send it without reply_id'
const NOBODY: Mentioned = new Map()
/** Texts sent together, besides the first: well below what a request may hold, as JSON too. */
const MAX_CHARACTERS_TOGETHER = 100_000

export function createHandover(options: {
  queue: Pick<OutboxQueue, 'isCaptionSent' | 'isQuoteLost'>
  media: Pick<MediaFiles, 'get' | 'upload'>
}) {
  const { queue, media } = options

  /**
   * @param along texts behind the message that may go with it
   * @param mentioned whom the message mentions
   * @throws GatewayError conflict in an encrypted chat, unsupported_by_chat, and as sessions do
   */
  async function handOver(
    chat: EnteredChat,
    session: MatrixSession,
    message: Message,
    along: readonly Message[],
    mentioned: Mentioned = NOBODY,
  ): Promise<HandedOver> {
    refuseEncrypted(chat)
    try {
      return await handOverTo(chat, session, message, along, mentioned)
    } catch (error) {
      // The homeserver knows nothing of channels and admins.
      if (!(error instanceof GatewayError && error.code === 'forbidden')) throw error
      throw new GatewayError('forbidden', chat.kind === 'channel' ? OWNERS_ONLY : MAY_NOT_WRITE)
    }
  }

  async function handOverTo(
    chat: EnteredChat,
    session: MatrixSession,
    message: Message,
    along: readonly Message[],
    mentioned: Mentioned,
  ): Promise<HandedOver> {
    const { roomId, bridgeBot, takes } = chat
    if (message.replyTo !== null && (await queue.isQuoteLost(message.identityId, message.replyTo, roomId)))
      throw new GatewayError('unprocessable', QUOTE_LOST)
    const { event, captionApart } = await eventFor(message, chat, mentioned)
    const { type, content } = event
    const others = session.sendTogether && isPlainText(message) ? textsThatFit(along, takes) : []
    if (session.sendTogether && others.length > 0) {
      const txnId = transactionId(message)
      const [eventId, ...alsoSent] = await session.sendTogether(roomId, type, [{ content, txnId }, ...others])
      return { eventId, alsoSent, bridgeBot }
    }
    const isRepeat = message.attempts > 1
    const eventId = await session.send(roomId, type, content, transactionId(message), isRepeat)
    const caption =
      captionApart === null ? undefined : await sendCaption(roomId, session, message, captionApart)
    const said = readBack(type, content)
    return { eventId, alsoSent: [], bridgeBot, said, ...(caption && { caption }) }
  }

  function textsThatFit(messages: readonly Message[], takes: RoomFeatures | null) {
    let characters = 0
    const fit = takeWhile(messages, message => {
      characters += message.text?.length ?? 0
      return characters <= MAX_CHARACTERS_TOGETHER && !('unsupported' in planned(message, undefined, takes))
    })
    return fit.map(message => ({
      content: { msgtype: 'm.text', body: message.text ?? '' },
      txnId: transactionId(message),
    }))
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
    content: Record<string, unknown>,
  ): Promise<SentCaption | undefined> {
    // A file that the network didn't take is sent again, as a new event; its caption was not
    // refused.
    if (message.resends > 0 && (await queue.isCaptionSent(message.id))) return undefined
    try {
      const txnId = captionId(message.id)
      return { eventId: await session.send(roomId, 'm.room.message', content, txnId, message.attempts > 1) }
    } catch (error) {
      if (!(error instanceof GatewayError) || isPassing(error)) throw error
      return { failed: messageOf(error) }
    }
  }

  /** @throws GatewayError unsupported_by_chat, with the limit, when the network won't have it */
  async function eventFor(
    message: Message,
    { platform, takes }: EnteredChat,
    mentioned: Mentioned,
  ): Promise<{ event: MatrixEvent; captionApart: Record<string, unknown> | null }> {
    const file = message.mediaId === null ? undefined : await media.get(message.mediaId)
    const plan = planned(message, file, takes)
    if ('unsupported' in plan)
      throw new GatewayError('unsupported_by_chat', unsupportedReason(platform, plan.unsupported))
    const { file: filePlan } = plan
    if (!file || !filePlan)
      return { event: await messageEvent(message, undefined, mentioned), captionApart: null }
    const { mxcUri } = await media.upload(file.id)
    const event = await messageEvent(message, { media: file, mxcUri, plan: filePlan }, mentioned)
    return { event, captionApart: filePlan.isCaptionApart ? await textContent(message, mentioned) : null }
  }

  return handOver
}

/** @throws GatewayError conflict */
export function refuseEncrypted({ encrypted }: Pick<EnteredChat, 'encrypted'>): void {
  if (!encrypted) return
  throw new GatewayError(
    'conflict',
    'room_encrypted: the chat is end-to-end encrypted, so nothing is sent in clear',
  )
}

function planned(
  { text, content, replyTo }: Message,
  file: PlannedFile | undefined,
  takes: RoomFeatures | null,
) {
  return planMessage({ text, content, file, isReply: replyTo !== null }, takes)
}

/** True for a message that is nothing but a text, which can go together with others. */
export function isPlainText({ act, mediaId, content }: Message): boolean {
  return act === null && mediaId === null && content === null
}

/**
 * The same for each repeat of a try, so that the homeserver answers the same event; another when it
 * is sent again.
 */
export function transactionId({ id, resends }: Message): string {
  return resends === 0 ? id : `${id}.${resends}`
}

export function takeWhile<T>(items: readonly T[], isTaken: (item: T) => boolean): readonly T[] {
  const end = items.findIndex(item => !isTaken(item))
  return end === -1 ? items : items.slice(0, end)
}
