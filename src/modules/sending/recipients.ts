/**
 * Finds the Matrix room of a chat by an address as people write it, with the bridge. A room that
 * was found is kept.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Bridge, Bridges, JoinedGroup } from '../../domain/ports.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import type { RecipientKind } from '../../domain/states.ts'
import { groupKey, isChatReference, isGroupLink, isMatrixUserId } from '../../domain/written-recipients.ts'
import type { Clock } from '../../lib/clock.ts'
import { contactKey, phoneDigits, trimmed } from '../../lib/phone-numbers.ts'
import { type ChatRepository, isChatOf, isReachable } from '../chats/chat-repository.ts'
import { type PeoplesPhones, userOfId } from '../chats/phones.ts'
import type { FoundRoom, RecipientRepository } from '../chats/recipient-repository.ts'
import { resolveContact } from '../chats/resolve.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { refuseNewChat } from '../devices/restriction.ts'
import { type Mentioned, mentionOf } from './content/formatting.ts'

export interface RecipientsOptions {
  repository: RecipientRepository
  chats: Pick<
    ChatRepository,
    'named' | 'living' | 'movedInto' | 'ofDevice' | 'directWith' | 'groupsOf' | 'featuresOf'
  >
  devices: Pick<LinkedDevices, 'linked'>
  bridges: Bridges
  phones: Pick<PeoplesPhones, 'of' | 'note'>
  clock: Clock
}

export interface Addressed {
  kind: RecipientKind
  recipient: string
  /** From `keyOf`. */
  key: string
}

export interface KnownChat {
  /** Null while nothing but its room is known. */
  id: string | null
  roomId: string
  /** Features of its network; null where they aren't known. */
  takes: RoomFeatures | null
}

/** Says of whom a bridge found nothing. */
async function namingThem<T>({ platform }: Device, written: string, asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    if (!(error instanceof GatewayError && error.code === 'not_found')) throw error
    throw new GatewayError('not_found', `${written} isn't on ${platform}: ${error.message}`)
  }
}

export type ReferredChat = Pick<Chat, 'platform' | 'receiver' | 'kind'>

export type Recipients = ReturnType<typeof createRecipients>

/** How long a bridge may take to make the room of a group after the join, in milliseconds. */
const PORTAL_PATIENCE_MS = 30_000
const FIRST_LOOK_MS = 20
const LONGEST_LOOK_MS = 1_000

export function createRecipients(options: RecipientsOptions) {
  const { repository, chats, devices, bridges, phones, clock } = options

  async function find(
    device: Device,
    userId: string,
    kind: RecipientKind,
    recipient: string,
  ): Promise<FoundRoom> {
    const bridge = bridges.forPlatform(device.platform)
    if (kind === 'contact') return findContact(bridge, device, userId, recipient)
    const roomId = isGroupLink(recipient)
      ? await joinByLink(bridge, device, userId, groupKey(recipient))
      : await findGroup(device, recipient)
    return { roomId, matrixUserId: null }
  }

  async function findContact(
    bridge: Bridge,
    device: Device,
    userId: string,
    recipient: string,
  ): Promise<FoundRoom> {
    // Who has written to us can be answered, also on a network that can't look anybody up.
    const direct = await chatNamed(device, 'contact', recipient)
    if (direct) return { roomId: direct.roomId, matrixUserId: recipient }
    const { contact, identifier } = await whoIs(device, userId, recipient)
    const { roomId, matrixUserId } = contact
    if (roomId !== null) return { roomId, matrixUserId }
    refuseNewChat(device, clock.now())
    const creating = bridge.createDirectChat(userId, device.loginId, identifier)
    return { roomId: (await namingThem(device, recipient, creating)).roomId, matrixUserId }
  }

  /**
   * The chat with this id, or of this room, if the device can write to it: the row of this room,
   * though the chat may go on in another one.
   */
  async function chatReferred(device: Device, reference: string): Promise<Chat | null> {
    const chat = await chatOf(device.identityId, reference)
    return chat && isReachable(chat) && isChatOf(device, chat) ? chat : null
  }

  async function chatOf(identityId: string, reference: string): Promise<Chat | null> {
    const chat = isChatReference(reference) ? await chats.named(identityId, reference) : null
    if (chat?.platform != null) return chat
    // Nothing may be known yet of the room in which it goes on, which has the chat's id already.
    return (chat && (await chats.movedInto(identityId, chat.roomId))[0]) ?? null
  }

  /** The chat whose id, room, Matrix user or group's id on the network this is. */
  async function chatNamed(device: Device, kind: RecipientKind, recipient: string): Promise<Chat | null> {
    if (isChatReference(recipient)) {
      const chat = await chatReferred(device, recipient)
      return chat && chats.living(device.identityId, chat)
    }
    if (kind === 'contact') return isMatrixUserId(recipient) ? chats.directWith(device, recipient) : null
    return isGroupLink(recipient) ? null : chats.ofDevice(device, recipient)
  }

  /** By the network's own id of the group. */
  async function findGroup(device: Device, recipient: string): Promise<string> {
    const chat = await chatNamed(device, 'group', recipient)
    if (chat) return chat.roomId
    throw new GatewayError(
      'not_found',
      `${recipient} is no group of this device: expected an invite link or its id`,
    )
  }

  async function joinByLink(bridge: Bridge, device: Device, userId: string, link: string): Promise<string> {
    const known = await bridge.resolveGroupLink(userId, link)
    const chat = known === null ? null : await chats.ofDevice(device, known)
    if (chat) return chat.roomId
    if (!(await bridge.joinsAsLogin(userId))) await refuseToJoinAsAnother(device)
    const before = (await chats.groupsOf(device)).map(group => group.roomId)
    const joined = await bridge.joinGroup(userId, device.loginId, link)
    const deadline = clock.steady() + PORTAL_PATIENCE_MS
    for (
      let waitMs = FIRST_LOOK_MS;
      clock.steady() < deadline;
      waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)
    ) {
      const roomId = await roomOfJoined(device, joined, before)
      if (roomId !== null) return roomId
      await clock.sleep(waitMs)
    }
    throw new GatewayError(
      'bridge_timeout',
      `the ${device.platform} bridge joined the group but made no chat for it`,
    )
  }

  /**
   * Some bridges tell only the group's name: then it is the one of that name that is new, or, if we
   * were in it before, the only one.
   */
  async function roomOfJoined(
    device: Device,
    { channelId, name, already }: JoinedGroup,
    before: readonly string[],
  ): Promise<string | null> {
    if (channelId !== null) return (await chats.ofDevice(device, channelId))?.roomId ?? null
    const named = (await chats.groupsOf(device)).filter(group => group.name === name)
    const candidates = already ? named : named.filter(group => !before.includes(group.roomId))
    return candidates.length === 1 ? (candidates[0]?.roomId ?? null) : null
  }

  /**
   * A bot's `join` mostly has no way to name a login: it takes the first one, which must then be
   * the device that sends.
   */
  async function refuseToJoinAsAnother(device: Device): Promise<void> {
    const { identityId, platform, loginId } = device
    const logins = (await devices.linked(identityId)).filter(other => other.platform === platform)
    const first = logins.toSorted((one, other) => (one.loginId < other.loginId ? -1 : 1))[0]
    if (first === undefined || first.loginId === loginId) return
    throw new GatewayError(
      'conflict',
      `of several ${platform} devices of a token the bridge joins groups with ${first.deviceId} only: ` +
        `join the group on the phone ${device.deviceId}, or link it with a token of its own`,
    )
  }

  /** @returns the Matrix user of a contact that is no number, null if unknown */
  async function userOf(device: Device, recipient: string): Promise<string | null> {
    if (isMatrixUserId(recipient)) return recipient
    return userOfId(device, recipient) ?? repository.userOf(device.id, `contact:${contactKey(recipient)}`)
  }

  /** @returns the Matrix user of somebody who may never have been written to */
  async function personOf(device: Device, userId: string, written: string): Promise<string> {
    if (isMatrixUserId(written)) return written
    const known = await repository.userOf(device.id, await keyOf(device, 'contact', written))
    if (known !== null) return known
    const { contact } = await whoIs(device, userId, written)
    if (contact.matrixUserId !== null) return contact.matrixUserId
    throw new GatewayError('not_found', `${written} has no Matrix user`)
  }

  /** @throws GatewayError not_found, and as bridges do */
  async function whoIs(device: Device, userId: string, written: string) {
    const resolving = resolveContact(bridges.forPlatform(device.platform), device, userId, written)
    const found = await namingThem(device, written, resolving)
    await phones.note(device, found.contact, written)
    return found
  }

  /** @returns the other party of a direct chat, perhaps only written to; null if unknown */
  async function partyOf(device: Device, chat: Chat): Promise<string | null> {
    if (chat.peer !== null) return chat.peer
    const living = await chats.living(device.identityId, chat)
    return living.peer ?? repository.userInRoom(device, living.roomId)
  }

  async function keyOfChat(device: Device, kind: RecipientKind, reference: string): Promise<string> {
    const chat = await chatReferred(device, reference)
    if (!chat) return `${kind}:${reference}`
    if (chat.kind !== 'dm') return `group:${chat.channelId ?? chat.roomId}`
    const user = await partyOf(device, chat)
    return user === null ? `contact:${chat.roomId}` : keyOf(device, 'contact', user)
  }

  /** A link is its group, once that is known. */
  async function keyOfGroup(device: Device, recipient: string): Promise<string> {
    const key = `group:${groupKey(recipient)}`
    const room = isGroupLink(recipient) ? await repository.roomOf(device, key) : null
    const chat = room && (await chatReferred(device, room.roomId))
    return chat ? keyOfChat(device, 'group', chat.roomId) : key
  }

  /** By which its room is remembered: a link's is its own. */
  const roomKeyOf = (kind: RecipientKind, recipient: string, key: string) =>
    kind === 'group' && isGroupLink(recipient) ? `group:${groupKey(recipient)}` : key

  async function keyOf(device: Device, kind: RecipientKind, written: string): Promise<string> {
    const recipient = trimmed(written)
    if (isChatReference(recipient)) return keyOfChat(device, kind, recipient)
    if (kind === 'group') return keyOfGroup(device, recipient)
    const digits = phoneDigits(recipient)
    if (digits !== null) return `contact:${digits}`
    const user = await userOf(device, recipient)
    const phone = await phones.of(device, user ?? recipient)
    return `contact:${phone ?? user ?? contactKey(recipient)}`
  }

  /** Also under the person's own key, by which they may be written next. */
  async function remember(device: Device, key: string, found: FoundRoom): Promise<void> {
    await repository.rememberRoom(device.id, key, found, clock.now())
    if (found.matrixUserId === null) return
    const ownKey = await keyOf(device, 'contact', found.matrixUserId)
    if (ownKey !== key) await repository.rememberRoom(device.id, ownKey, found, clock.now())
  }

  return {
    /**
     * The one key of a device's recipient, however it is written: it names the recipient's lane and
     * their room.
     */
    keyOf,

    /**
     * @param userId the identity's Matrix user
     * @returns the room id of the chat, or of one from which it has moved since
     * @throws GatewayError not_found when nobody answers to the address, DeviceRestricted when the
     * chat would be a new one, and as bridges do
     */
    async resolve(device: Device, userId: string, kind: RecipientKind, written: string): Promise<string> {
      const recipient = trimmed(written)
      if (isChatReference(recipient)) {
        const chat = await chatReferred(device, recipient)
        if (chat) return chat.roomId
        throw new GatewayError('not_found', `${recipient} is no chat of this device`)
      }
      const key = roomKeyOf(kind, recipient, await keyOf(device, kind, recipient))
      const known = await repository.roomOf(device, key)
      if (known) return known.roomId
      const found = await find(device, userId, kind, recipient)
      await remember(device, key, found)
      return found.roomId
    },
    /** The recipient's chat, as far as it is known without asking the bridge. */
    async known(device: Device, { kind, recipient: written, key }: Addressed): Promise<KnownChat | null> {
      const recipient = trimmed(written)
      const roomKey = roomKeyOf(kind, recipient, key)
      const byKey = isChatReference(recipient) ? null : await repository.roomOf(device, roomKey)
      const found = byKey
        ? await chats.living(device.identityId, byKey)
        : await chatNamed(device, kind, recipient)
      return found && { id: found.id, roomId: found.roomId, takes: await chats.featuresOf(found) }
    },

    /**
     * @param reference a chat's id, or the id of a room that it is or was in
     * @returns what the chat is, null when the identity has no such chat
     */
    chatOf: (identityId: string, reference: string): Promise<ReferredChat | null> =>
      chatOf(identityId, reference),

    /**
     * @param foundRoom from `resolve`
     * @param roomId in which the chat goes on
     * @returns the rooms that its bridge has closed, in which the device may have written last
     */
    async closedRooms(
      { identityId }: Device,
      recipient: string,
      foundRoom: string,
      roomId: string,
    ): Promise<string[]> {
      if (!isChatReference(trimmed(recipient))) return foundRoom === roomId ? [] : [foundRoom]
      return (await chats.movedInto(identityId, roomId)).map(chat => chat.roomId)
    },

    /**
     * @returns who the contacts are that a message mentions; undefined when it mentions nobody
     * @throws GatewayError not_found when nobody answers to one of them, and as bridges do
     */
    async mentioned(
      device: Device,
      userId: string,
      contacts: readonly string[] | undefined,
    ): Promise<Mentioned | undefined> {
      if (!contacts) return undefined
      const users = new Map<string, string>()
      for (const contact of contacts)
        users.set(mentionOf(contact), await personOf(device, userId, trimmed(contact)))
      return users
    },

    /** The chat goes on in another room, which is remembered from now on. */
    follow: (device: Device, roomId: string, movedTo: string) =>
      repository.moveRoom(device.id, roomId, movedTo),
    /** The room has turned out to be none of ours any more: the next message asks again. */
    forget: (device: Device, roomId: string) => repository.forgetRoom(device.id, roomId),
  }
}
