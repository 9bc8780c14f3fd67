/**
 * Erases what the gateway has stored of a chat. It begins by hiding the chat; whatever is cut off
 * after that, by a kill or a full disk, is done by the next call.
 */
import type { Db } from '../../db/open.ts'
import type { Chat, Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { contactKey } from '../../lib/phone-numbers.ts'
import { type ChatRepository, isChatOf } from '../chats/chat-repository.ts'
import type { KnownPeople } from '../chats/known-people.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import type { MediaFiles } from '../media/media.ts'
import { createConversationRepository } from './conversation-repository.ts'
import { isListed } from './conversations.ts'
import { createErasureRepository } from './erasure-repository.ts'

export interface ErasureOptions {
  db: Pick<Db, 'read' | 'write' | 'emptyLog'>
  chats: Pick<ChatRepository, 'find'>
  devices: Pick<LinkedDevices, 'linkedFirst'>
  knownPeople: Pick<KnownPeople, 'person' | 'userOfChannel'>
  media: Pick<MediaFiles, 'discardAll'>
  /**
   * Has the homeserver within this process forget what was said in a room; undefined: it is another
   * program.
   * @returns how many events stay there
   */
  eraseRoom: ((roomId: string) => Promise<number>) | undefined
}

export interface Erased {
  message: string
  /** Who still has it. */
  kept: string
}

export type Erasure = ReturnType<typeof createErasure>

export function createErasure(options: ErasureOptions) {
  const { db, chats, devices, knownPeople, media, eraseRoom } = options
  const repository = createErasureRepository(db)
  const { roomsOf } = createConversationRepository(db)

  /** Keys of lanes to the person of a direct chat. */
  async function keysOf(chat: Chat, device: Device | undefined): Promise<string[]> {
    const userId =
      chat.peer ?? (device && chat.channelId && knownPeople.userOfChannel(device, chat.channelId))
    if (chat.kind !== 'dm' || !device || !userId) return []
    const { phone, native_ids: ids } = await knownPeople.person(device, userId)
    return [phone, userId, ...ids].filter(id => id !== null).map(id => `contact:${contactKey(id)}`)
  }

  return {
    /**
     * @param reference the chat's id, or that of a room that it is or was in
     * @throws GatewayError not_found, conflict (something of it isn't on the network yet)
     */
    async erase(identityId: string, reference: string): Promise<Erased> {
      const chat = await chats.find(identityId, reference)
      if (!chat || !isListed(chat)) throw new GatewayError('not_found', `there is no chat ${reference}`)
      const rooms = await roomsOf(chat)
      const owned = (await devices.linkedFirst(identityId)).filter(device => isChatOf(device, chat))
      const erased = {
        identityId,
        rooms: JSON.stringify(rooms),
        chats: JSON.stringify(await repository.idsOf(identityId, rooms)),
        devices: JSON.stringify(owned.map(({ id }) => id)),
        keys: JSON.stringify(await keysOf(chat, owned[0])),
      }
      const begun = await repository.begin(erased)
      if ('waiting' in begun) throw unsent(begun.waiting)
      await repository.erase(erased, begun.through, media.discardAll)
      const shared = await repository.sharedRooms(erased)
      let unfetched = 0
      if (eraseRoom) for (const room of rooms) if (!shared.has(room)) unfetched += await eraseRoom(room)
      await db.emptyLog()
      const kept = keptBy({ isOurs: eraseRoom !== undefined, isShared: shared.size > 0, unfetched })
      return { message: 'Chat erased successfully', kept }
    },
  }
}

function unsent(waiting: readonly string[]): GatewayError {
  const [first] = waiting
  const found =
    waiting.length === 1
      ? `1 message or action of the chat (${first}) waits or is being sent`
      : `${waiting.length} messages and actions of the chat (${first}, …) wait or are being sent`
  return new GatewayError('conflict', `${found}: DELETE /messages/{id} cancels those that are queued`)
}

/** @returns who still has what was said, in words */
function keptBy({ isOurs, isShared, unfetched }: { isOurs: boolean; isShared: boolean; unfetched: number }) {
  const kept = [
    'The network keeps what it has, and so do its phones and whoever got events or took a backup before. The bridge keeps ids, but no texts.',
    'The chat’s name and its people stay: they are contacts of the device.',
  ]
  if (!isOurs) kept.push('The homeserver keeps the chat’s room with its messages.')
  if (isOurs && isShared) kept.push('The homeserver keeps the room, as other accounts are in it.')
  if (unfetched > 0) kept.push(`The homeserver keeps ${unfetched} events that a bridge has yet to fetch.`)
  return kept.join(' ')
}
