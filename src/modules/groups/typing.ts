/** Shows the account as typing in a chat: nothing of it is stored. */
import type { MatrixSessions } from '../../domain/ports.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import type { ChatAccess } from './chat-access.ts'

export interface ShowTypingOptions {
  access: Pick<ChatAccess, 'find'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
}

/** It ends by itself, as a program that types may crash. */
const TYPING_MS = 10_000

export function createShowTyping({ access, chatRooms, sessions, matrixUserOf }: ShowTypingOptions) {
  /** @throws GatewayError not_found, conflict (no device), and as sessions do */
  return async (identityId: string, reference: string, typing: boolean): Promise<void> => {
    const { chat } = await access.find(identityId, reference)
    const { roomId } = await chatRooms.ensureEntered(identityId, chat.roomId)
    const session = sessions.actingAs(await matrixUserOf(identityId))
    await session.typing(roomId, typing ? TYPING_MS : null)
  }
}
