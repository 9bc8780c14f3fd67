/** Finds a chat of an identity and the device by which something is done there. */
import type { Chat, Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { type ChatRepository, isChatOf } from '../chats/chat-repository.ts'
import type { LinkedDevices } from '../devices/devices.ts'

export interface ChatAccessOptions {
  chats: Pick<ChatRepository, 'find'>
  devices: Pick<LinkedDevices, 'linkedFirst'>
}

export type ChatAccess = ReturnType<typeof createChatAccess>

export function createChatAccess({ chats, devices }: ChatAccessOptions) {
  return {
    /**
     * @param reference the chat's id, or that of a room that it is or was in
     * @throws GatewayError not_found, conflict (its device isn't linked any more)
     */
    async find(identityId: string, reference: string): Promise<{ chat: Chat; device: Device }> {
      const chat = await chats.find(identityId, reference)
      if (!chat) throw new GatewayError('not_found', `there is no chat ${reference}`)
      const device = (await devices.linkedFirst(identityId)).find(one => isChatOf(one, chat))
      if (device) return { chat, device }
      throw new GatewayError('conflict', `the device of the chat ${reference} is no longer linked`)
    },
  }
}
