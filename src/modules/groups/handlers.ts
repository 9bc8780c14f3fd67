/**
 * How acts on a chat are done in Matrix, by their types. State has the act's transaction id in it:
 * a repeat after a crash is the same state, for which homeservers answer the same event.
 */
import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import type { ChatActType } from '../../domain/states.ts'
import { unsupportedReason } from '../chats/capabilities.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { ChatRooms, EnteredChat } from '../chats/chat-rooms.ts'
import { unsupportedSetting } from '../chats/setting-capabilities.ts'
import type { MediaFiles } from '../media/media.ts'
import type { ActHandler, ActTry } from '../sending/outbox.ts'
import { ADMIN_LEVEL, levelsContent } from './members.ts'

export interface ChatActHandlersOptions {
  chats: Pick<ChatRepository, 'find'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  media: Pick<MediaFiles, 'upload'>
}

export type ChatActHandlers = Readonly<Record<ChatActType, ActHandler>>

type Content = Record<string, unknown>
type Doing = (aimed: ActTry & { chat: EnteredChat }) => Promise<string | null>

/** Marks state that an act has set. */
const MARK = 'org.meshgate.transaction_id'
const memberContent = z.object({ membership: z.string(), [MARK]: z.string().optional() })

export function createChatActHandlers({ chats, chatRooms, media }: ChatActHandlersOptions): ChatActHandlers {
  function onChat(doIt: Doing): ActHandler {
    return async attempt => {
      const { act } = attempt
      const known = await chats.find(act.identityId, act.recipient)
      if (!known) throw new GatewayError('not_found', `the chat ${act.recipient} is gone`)
      const chat = await chatRooms.ensureEntered(act.identityId, known.roomId)
      const type = act.act as ChatActType
      const unsupported = unsupportedSetting(type, chat.takes, act.content?.disappearingS)
      if (unsupported)
        throw new GatewayError('unsupported_by_chat', unsupportedReason(chat.platform, unsupported))
      const eventId = await doIt({ ...attempt, chat })
      return { eventId, roomId: chat.roomId, bridgeBot: chat.bridgeBot }
    }
  }

  const withState = (
    type: string,
    contentOf: (aimed: ActTry & { chat: EnteredChat }) => Content | Promise<Content>,
  ) =>
    onChat(async aimed => {
      const { session, chat, txnId } = aimed
      return session.sendState(chat.roomId, type, '', { ...(await contentOf(aimed)), [MARK]: txnId })
    })

  /** @param isThere by the membership before: nothing is left to do */
  const withMember = (membership: string, isThere: (before: string) => boolean) =>
    onChat(async ({ act, session, chat, txnId }) => {
      const userId = act.content?.member?.userId ?? ''
      const before = memberIn(await session.state(chat.roomId), userId)
      if (before?.mark === txnId) return before.eventId
      if (isThere(before?.membership ?? 'leave')) return null
      return session.sendState(chat.roomId, 'm.room.member', userId, { membership, [MARK]: txnId })
    })

  const withLevel = (levelOf: (usual: number) => number) =>
    onChat(async ({ act, session, chat }) => {
      const userId = act.content?.member?.userId ?? ''
      const state = await session.state(chat.roomId)
      const content = state.find(({ type }) => type === 'm.room.power_levels')?.content ?? {}
      const { users, users_default: usual } = levelsContent.parse(content)
      const level = levelOf(usual)
      if ((users[userId] ?? usual) >= ADMIN_LEVEL === level >= ADMIN_LEVEL) return null
      const changed = { ...content, users: { ...users, [userId]: level } }
      return session.sendState(chat.roomId, 'm.room.power_levels', '', changed).catch(refuseLevels)
    })

  return {
    rename: withState('m.room.name', ({ act }) => ({ name: act.text ?? '' })),
    set_topic: withState('m.room.topic', ({ act }) => ({ topic: act.text ?? '' })),
    set_avatar: withState('m.room.avatar', async ({ act }) =>
      act.content?.withoutAvatar ? {} : { url: (await media.upload(act.mediaId ?? '')).mxcUri },
    ),
    set_disappearing: withState('com.beeper.disappearing_timer', ({ act, chat }) => {
      const timer = (act.content?.disappearingS ?? 0) * 1_000
      return { type: timer === 0 ? '' : (chat.takes?.settings?.timerType ?? 'after_send'), timer }
    }),
    add_member: withMember('invite', before => before === 'join' || before === 'invite'),
    remove_member: withMember('leave', before => before === 'leave' || before === 'ban'),
    promote_member: withLevel(() => ADMIN_LEVEL),
    demote_member: withLevel(usual => usual),
    // Nobody who has left hears what the bridge says of it.
    leave: onChat(async ({ session, chat }) => {
      await session.sendState(chat.roomId, 'm.room.member', session.userId, { membership: 'leave' })
      return null
    }),
    block: onChat(({ session, chat, txnId, isRepeat }) =>
      session.send(chat.roomId, 'com.beeper.block_user', { block: true }, txnId, isRepeat),
    ),
  }
}

function memberIn(state: readonly RoomEvent[], userId: string) {
  const event = state.find(({ type, state_key: key }) => type === 'm.room.member' && key === userId)
  const content = event && memberContent.safeParse(event.content).data
  return event && content
    ? { eventId: event.event_id, membership: content.membership, mark: content[MARK] }
    : null
}

/** Bridges that can't change admins keep the levels of their rooms to themselves. */
function refuseLevels(error: unknown): never {
  if (!(error instanceof GatewayError && error.code === 'forbidden')) throw error
  throw new GatewayError(
    'forbidden',
    `admins can't be changed from here, only at the phone: ${error.message}`,
  )
}
