/** Chats as sending needs them. */
import type { Chat } from '../../db/schema/index.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'

export interface JoinedChat extends Chat {
  /** The network's features; null where the bridge states none. */
  takes: RoomFeatures | null
}

export interface JoinedChats {
  /** Makes sure the identity is in the room and the chat is known. @throws GatewayError forbidden when it may not join */
  ensureJoined(identityId: string, roomId: string): Promise<JoinedChat>
}
