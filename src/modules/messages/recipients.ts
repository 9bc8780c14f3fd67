/** From an address as people write it to the Matrix room of the chat, by the bridge. What was found is kept. */
import type { Device } from '../../db/schema/index.ts'
import { groupKey, normaliseContact } from '../../domain/addresses.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Bridge, Bridges } from '../../domain/ports.ts'
import type { RecipientKind } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ChatRepository } from '../chats/repository.ts'
import { recipientKey } from './messages.ts'
import type { MessageRepository } from './repository.ts'

export interface RecipientsOptions {
  repository: Pick<MessageRepository, 'resolvedRoom' | 'rememberRoom' | 'forgetRoom'>
  chats: Pick<ChatRepository, 'get' | 'byChannel'>
  bridges: Bridges
  clock: Clock
}

export interface Recipients {
  /**
   * @param userId the identity's Matrix user
   * @returns the room id of the chat
   * @throws GatewayError not_found when nobody answers to the address, and as bridges do
   */
  resolve(device: Device, userId: string, kind: RecipientKind, recipient: string): Promise<string>
  /** The room has turned out to be none of ours any more: ask again next time. */
  forget(device: Device, roomId: string): Promise<void>
}

/** A bridge makes the room of a group "momentarily" after the join: how long that may take, in milliseconds. */
const PORTAL_PATIENCE_MS = 30_000
const FIRST_LOOK_MS = 20
const LONGEST_LOOK_MS = 1_000

export function createRecipients({ repository, chats, bridges, clock }: RecipientsOptions): Recipients {
  async function find(
    device: Device,
    userId: string,
    kind: RecipientKind,
    recipient: string,
  ): Promise<string> {
    const bridge = bridges.forPlatform(device.platform)
    if (kind === 'contact') return findContact(bridge, device, userId, recipient)
    const isLink = /^https?:\/\//i.test(recipient)
    return isLink ? joinByLink(bridge, device, userId, groupKey(recipient)) : findGroup(device, recipient)
  }

  async function findContact(
    bridge: Bridge,
    device: Device,
    userId: string,
    recipient: string,
  ): Promise<string> {
    const identifier = ghostId(recipient) ?? normaliseContact(recipient)
    try {
      const contact = await bridge.resolveIdentifier(userId, device.loginId, identifier)
      return contact.roomId ?? (await bridge.createDirectChat(userId, device.loginId, identifier)).roomId
    } catch (error) {
      if (!(error instanceof GatewayError && error.code === 'not_found')) throw error
      throw new GatewayError('not_found', `${recipient} isn't on ${device.platform}: ${error.message}`)
    }
  }

  /** By the network's own id of the group. */
  async function findGroup(device: Device, recipient: string): Promise<string> {
    const chat = await chats.byChannel(device.identityId, device.platform, recipient)
    if (chat) return chat.roomId
    throw new GatewayError(
      'not_found',
      `${recipient} is no group of this device: expected an invite link or its id`,
    )
  }

  async function joinByLink(bridge: Bridge, device: Device, userId: string, link: string): Promise<string> {
    const { identityId, platform } = device
    const known = await bridge.resolveGroupLink(userId, link)
    const chat = known === null ? null : await chats.byChannel(identityId, platform, known)
    if (chat) return chat.roomId
    const channelId = await bridge.joinGroup(userId, link)
    const deadline = clock.now() + PORTAL_PATIENCE_MS
    for (let waitMs = FIRST_LOOK_MS; clock.now() < deadline; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
      const joined = await chats.byChannel(identityId, platform, channelId)
      if (joined) return joined.roomId
      await clock.sleep(waitMs)
    }
    throw new GatewayError(
      'bridge_timeout',
      `the ${platform} bridge joined the group but made no chat for it`,
    )
  }

  return {
    async resolve(device, userId, kind, recipient) {
      // A Matrix room id is what it is, if it is a chat of ours.
      if (recipient.startsWith('!')) {
        const chat = await chats.get(device.identityId, recipient)
        if (chat && chat.membership !== 'left') return recipient
        throw new GatewayError('not_found', `${recipient} is no chat of this device`)
      }
      const key = recipientKey(kind, recipient)
      const known = await repository.resolvedRoom(device.id, key)
      if (known !== null) return known
      const roomId = await find(device, userId, kind, recipient)
      await repository.rememberRoom(device.id, key, roomId, clock.now())
      return roomId
    },
    forget: (device, roomId) => repository.forgetRoom(device.id, roomId),
  }
}

/** The network's id in a bridged user's Matrix id (`@whatsapp_237…:server`), null for any other address. */
function ghostId(recipient: string): string | null {
  return /^@[^_:]+_([^:]+):/.exec(recipient)?.[1] ?? null
}
