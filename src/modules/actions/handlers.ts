/**
 * How each act is done in Matrix, by its type. A handler is called when the act's turn has come,
 * and again after a crash or a failure that passes, with the same transaction id.
 */
import type { Message } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import type { ActType, ChatActType } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  isSameEmoji,
  planEdit,
  unsupportedEdit,
  unsupportedReaction,
  unsupportedUnsend,
  unsupportedVote,
} from '../chats/act-capabilities.ts'
import { type Unsupported, unsupportedReason } from '../chats/capabilities.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { ChatRooms, EnteredChat } from '../chats/chat-rooms.ts'
import type { MediaFiles } from '../media/media.ts'
import type { Act } from '../sending/act-repository.ts'
import { messageEvent } from '../sending/content/event.ts'
import { refuseEncrypted, transactionId } from '../sending/handover.ts'
import type { ActHandler, ActTry } from '../sending/outbox.ts'
import type { Recipients } from '../sending/recipients.ts'
import type { ActRepository } from './action-repository.ts'
import { editsIn, partsBeside } from './edits.ts'
import { standingReaction } from './reactions.ts'
import { isWaiting, refuseGone, type Target, type Targets } from './targets.ts'

export interface ActHandlersOptions {
  targets: Pick<Targets, 'get' | 'reactionElsewhere'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  acts: Pick<ActRepository, 'on'>
  chats: Pick<ChatRepository, 'find'>
  media: Pick<MediaFiles, 'get' | 'upload'>
  recipients: Pick<Recipients, 'mentioned'>
  clock: Clock
}

/** An act on a message, where it is done. */
interface Aimed extends ActTry {
  target: Target
  chat: EnteredChat
  /** The message's event. */
  eventId: string
  /** Acts on the message before this one, oldest first. */
  earlier: readonly Act[]
}

/** @returns the event of the act; null where no bridge reports on it */
type Doing = (aimed: Aimed) => Promise<string | null>

export type ActHandlers = Readonly<Record<Exclude<ActType, ChatActType>, ActHandler>>

export function createActHandlers({
  targets,
  chatRooms,
  acts,
  chats,
  media,
  recipients,
  clock,
}: ActHandlersOptions): ActHandlers {
  /** Makes the handler of an act on a message. */
  function onMessage(doIt: Doing): ActHandler {
    return async attempt => {
      const { act } = attempt
      const target = await targets.get(act.identityId, targetIdOf(act))
      refuseGone(target)
      if (isWaiting(target) || target.said === null) return 'waits'
      const { eventId, roomId } = target.said
      const earlier = (await acts.on(act)).filter(({ seq }) => seq < act.seq)
      // In the same lane, the end of one that was done just now is still being stored.
      if (earlier.some(other => other.lane === act.lane && isUnderWay(other))) return 'waits'
      const chat = await chatRooms.ensureEntered(act.identityId, roomId)
      refuseOtherRoom(chat, roomId)
      refuseEncrypted(chat)
      if (isUnreported(act, target, earlier, chat)) return 'unreported'
      return {
        eventId: await doIt({ ...attempt, target, chat, eventId, earlier }),
        roomId: chat.roomId,
        bridgeBot: chat.bridgeBot,
      }
    }
  }

  /** A reaction from the phone has taken the place of one that was made here before. */
  const standingBefore = async ({ act, eventId, earlier }: Aimed) =>
    (await targets.reactionElsewhere(act.identityId, eventId)) ?? standingReaction(earlier)

  const react: Doing = async aimed => {
    const { act, session, chat, eventId, txnId, isRepeat } = aimed
    const { roomId, takes } = chat
    const emoji = act.content?.emoji ?? ''
    refuseUnsupported(chat, unsupportedReaction(emoji, takes))
    const standing = await standingBefore(aimed)
    if (standing && isSameEmoji(standing.emoji, emoji)) return null
    // Where one person has one reaction, the bridge takes the other away.
    if (standing && takes?.reactionCount !== 1)
      await session.redact(roomId, standing.eventId, `${txnId}.before`, isRepeat)
    if (act.resends > 0) await takeAwayRefused(act, session, roomId, reaction(eventId, emoji))
    return session.send(roomId, 'm.reaction', reaction(eventId, emoji), txnId, isRepeat)
  }

  const unreact: Doing = async aimed => {
    const { session, chat, txnId, isRepeat } = aimed
    const standing = await standingBefore(aimed)
    if (!standing) throw new GatewayError('conflict', NO_REACTION)
    return session.redact(chat.roomId, standing.eventId, txnId, isRepeat)
  }

  const unsend: Doing = async ({ act, session, chat, target, eventId, txnId, isRepeat }) => {
    const age = { ageMs: clock.now() - target.sentAt }
    refuseUnsupported(chat, unsupportedUnsend(age, chat.takes))
    if (target.captionEventId !== null)
      await session.redact(chat.roomId, target.captionEventId, `${act.id}.caption`, isRepeat)
    return session.redact(chat.roomId, eventId, txnId, isRepeat)
  }

  const edit: Doing = async aimed => {
    const { act, session, chat, target, eventId, earlier, txnId, isRepeat } = aimed
    const age = { ageMs: clock.now() - target.sentAt, edits: editsIn(earlier) }
    refuseUnsupported(chat, unsupportedEdit(age, chat.takes))
    const isCaption = target.captionEventId !== null
    const edited = target.sent && isCaption ? { ...target.sent, mediaId: null } : target.sent
    const content = await contentOf(edited, act.text ?? '', aimed)
    const replaced = target.captionEventId ?? eventId
    return session.send(chat.roomId, 'm.room.message', replacing(replaced, content), txnId, isRepeat)
  }

  /** @param message null for a text that has no row */
  async function contentOf(
    message: Message | null,
    text: string,
    { chat: { platform, takes }, device, session }: Aimed,
  ): Promise<Record<string, unknown>> {
    if (!message) return { msgtype: 'm.text', body: text }
    const parts = partsBeside(text, message.content)
    const mentioned = (await recipients.mentioned(device, session.userId, parts?.mentions)) ?? NOBODY
    const edited = { ...message, text, replyTo: null, content: parts }
    const file = message.mediaId === null ? undefined : await media.get(message.mediaId)
    const plan = planEdit({ text, content: parts, file }, takes)
    if ('unsupported' in plan)
      throw new GatewayError('unsupported_by_chat', unsupportedReason(platform, plan.unsupported))
    if (!file || !plan.file) return (await messageEvent(edited, undefined, mentioned)).content
    const { mxcUri } = await media.upload(file.id)
    return (await messageEvent(edited, { media: file, mxcUri, plan: plan.file }, mentioned)).content
  }

  const vote: Doing = async ({ act, session, chat, eventId, txnId, isRepeat }) => {
    refuseUnsupported(chat, unsupportedVote(chat.takes))
    const content = {
      'm.relates_to': { rel_type: 'm.reference', event_id: eventId },
      [POLL_RESPONSE]: { answers: act.content?.votes ?? [] },
    }
    return session.send(chat.roomId, POLL_RESPONSE, content, txnId, isRepeat)
  }

  const read: ActHandler = async ({ act, session }) => {
    const known = await chats.find(act.identityId, act.recipient)
    if (!known) throw new GatewayError('not_found', `the chat ${act.recipient} is gone`)
    const { roomId, bridgeBot } = await chatRooms.ensureEntered(act.identityId, known.roomId)
    await session.readUpTo(roomId, act.content?.upTo ?? '')
    return { eventId: null, roomId, bridgeBot }
  }

  return {
    react: onMessage(react),
    unreact: onMessage(unreact),
    edit: onMessage(edit),
    unsend: onMessage(unsend),
    vote: onMessage(vote),
    read,
  }
}

const NOBODY = new Map<string, string>()
const POLL_RESPONSE = 'org.matrix.msc3381.poll.response'

/**
 * Edits as bridgev2 takes them: the new content as a whole, and for others as a text, which tells
 * nobody once more that they are mentioned.
 */
function replacing(eventId: string, content: Record<string, unknown>): Record<string, unknown> {
  return {
    ...content,
    body: `* ${content.body}`,
    ...(content['m.mentions'] ? { 'm.mentions': {} } : {}),
    'm.new_content': content,
    'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
  }
}

export const NO_REACTION = 'there is no reaction of yours to this message that could be taken back'

/** @throws GatewayError unsupported_by_chat, with the limit */
function refuseUnsupported({ platform }: EnteredChat, unsupported: Unsupported | null): void {
  if (!unsupported) return
  throw new GatewayError('unsupported_by_chat', unsupportedReason(platform, unsupported))
}

function reaction(eventId: string, emoji: string): Record<string, unknown> {
  return { 'm.relates_to': { rel_type: 'm.annotation', event_id: eventId, key: emoji } }
}

/**
 * A reaction that the network refused for now is still in the room, where the same one can't be
 * sent a second time. Its transaction id leads to its event.
 */
async function takeAwayRefused(
  act: Act,
  session: MatrixSession,
  roomId: string,
  content: Record<string, unknown>,
): Promise<void> {
  const before = transactionId({ ...act, resends: act.resends - 1 })
  const refused = await session.send(roomId, 'm.reaction', content, before, true)
  await session.redact(roomId, refused, `${before}.refused`, true)
}

/** @throws GatewayError unprocessable when the event can't be referred to where the chat goes on */
export function refuseOtherRoom(chat: { roomId: string }, roomId: string): void {
  if (chat.roomId === roomId) return
  throw new GatewayError(
    'unprocessable',
    'the message was said in a room that its bridge has closed since: nothing can be done to it any more',
  )
}

/**
 * True while a bridge may still have to read an event that the act takes back: the homeserver
 * leaves nothing of it.
 */
function isUnreported(
  { act }: Act,
  { sent }: Target,
  earlier: readonly Act[],
  { takes }: EnteredChat,
): boolean {
  if (act === 'unsend') return sent?.status === 'submitted'
  const isRedacting = act === 'unreact' || (act === 'react' && takes?.reactionCount !== 1)
  return isRedacting && earlier.findLast(other => other.act === 'react')?.status === 'submitted'
}

function isUnderWay({ status }: Act): boolean {
  return status === 'queued' || status === 'sending'
}

function targetIdOf({ id, target }: Act): string {
  if (target !== null) return target
  throw new Error(`the act ${id} has no target`)
}
