/** Shows the account as typing in a chat: nothing of it is stored. */
import type { MatrixSessions } from '../../domain/ports.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import { noSuchChat } from './members.ts'

export interface ShowTypingOptions {
  chats: Pick<ChatRepository, 'find'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
}

/** It ends by itself, as a program that types may crash. */
const TYPING_MS = 10_000

export function createShowTyping({ chats, chatRooms, sessions, matrixUserOf }: ShowTypingOptions) {
  /** @throws GatewayError not_found, and as sessions do */
  return async (identityId: string, reference: string, typing: boolean): Promise<void> => {
    const chat = await chats.find(identityId, reference)
    if (!chat) throw noSuchChat(reference)
    const { roomId } = await chatRooms.ensureEntered(identityId, chat.roomId)
    const session = sessions.actingAs(await matrixUserOf(identityId))
    await session.typing(roomId, typing ? TYPING_MS : null)
  }
}
