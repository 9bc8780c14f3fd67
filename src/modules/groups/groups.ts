/**
 * Groups: making one, joining one by its link, and who is in it. `settings.ts` changes chats, whose
 * acts `handlers.ts` does when their turn has come.
 */
import pLimit from 'p-limit'
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { BridgeContact, Bridges } from '../../domain/ports.ts'
import type { NotAddedView } from '../../domain/views/group.ts'
import { isGroupLink } from '../../domain/written-recipients.ts'
import { trimmed } from '../../lib/phone-numbers.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import type { PeoplesPhones } from '../chats/phones.ts'
import { resolveContact } from '../chats/resolve.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { loggedOut, noSuchDevice } from '../devices/refusals.ts'
import type { Recipients } from '../sending/recipients.ts'

export interface GroupsOptions {
  bridges: Pick<Bridges, 'forPlatform'>
  devices: Pick<LinkedDevices, 'find' | 'linked'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  phones: Pick<PeoplesPhones, 'note'>
  recipients: Pick<Recipients, 'resolve' | 'forget'>
  matrixUserOf(identityId: string): Promise<string>
}

/** Which device of an identity acts. */
export interface DeviceRef {
  identityId: string
  /** Phone digits, +E.164 or login id. */
  deviceId: string
  /** Null: any. */
  platform: string | null
}

export interface NewGroup {
  name: string
  /** As they are written to. */
  participants: readonly string[]
}

/** People whom a bridge is asked about at a time. */
const CONCURRENCY = 4

export function createGroups(options: GroupsOptions) {
  const { bridges, devices, chatRooms, phones, recipients, matrixUserOf } = options

  async function deviceOf({ identityId, deviceId, platform }: DeviceRef): Promise<Device> {
    const device = await devices.find(identityId, deviceId, platform)
    if (!device) throw await noSuchDevice(devices, identityId, deviceId, platform)
    if (device.state === 'logged_out') throw loggedOut(device)
    return device
  }

  /** Finds each participant, naming one that there isn't; those written in two ways are one. */
  async function peopleOf(device: Device, written: readonly string[]): Promise<BridgeContact[]> {
    const bridge = bridges.forPlatform(device.platform)
    const userId = await matrixUserOf(device.identityId)
    const found = await pLimit(CONCURRENCY).map([...written], async (participant, index) => {
      try {
        const { contact } = await resolveContact(bridge, device, userId, participant)
        await phones.note(device, contact, trimmed(participant))
        return contact
      } catch (error) {
        throw namingParticipant(error, device, participant, index)
      }
    })
    return [...new Map(found.map(contact => [contact.id, contact])).values()]
  }

  return {
    /**
     * Makes a group with the device in it.
     * @returns its room, and who wasn't let in, though the group is there
     * @throws GatewayError not_found (no such device or participant), bad_request (the network
     * takes no such group), conflict (logged out), not_supported, and as bridges do
     */
    async create(
      by: DeviceRef,
      { name, participants }: NewGroup,
    ): Promise<{ roomId: string; notAdded: NotAddedView[] }> {
      const device = await deviceOf(by)
      const people = await peopleOf(device, participants)
      const userId = await matrixUserOf(device.identityId)
      const { roomId, failed } = await bridges
        .forPlatform(device.platform)
        .createGroup(userId, device.loginId, { name, participants: people.map(({ id }) => id) })
      await chatRooms.ensureEntered(device.identityId, roomId)
      const notAdded = [...failed].map(([id, reason]) => {
        const person = people.find(contact => contact.id === id)
        return { id, name: person?.name ?? '', reason }
      })
      return { roomId, notAdded }
    },

    /**
     * Joins the group of an invite link; one that the device is in already is as good.
     * @returns its room
     * @throws GatewayError not_found (no such device), bad_request (no link), conflict (logged out,
     * or the bridge would join with another device), not_supported, and as bridges do
     */
    async join(by: DeviceRef, link: string): Promise<string> {
      const device = await deviceOf(by)
      if (!isGroupLink(trimmed(link))) throw new GatewayError('bad_request', 'link: expected an invite link')
      const userId = await matrixUserOf(device.identityId)
      const entered = async () => {
        const roomId = await recipients.resolve(device, userId, 'group', link)
        return { roomId, chat: await chatRooms.ensureEntered(device.identityId, roomId).catch(isGone) }
      }
      const { roomId, chat } = await entered()
      if (chat) return chat.roomId
      // We have left the room that was known for the link.
      await recipients.forget(device, roomId)
      const again = await entered()
      if (again.chat) return again.chat.roomId
      throw new GatewayError('forbidden', 'link: the group doesn’t let the device in')
    },
  }
}

/** @returns null for a room that can't be entered */
function isGone(error: unknown): null {
  if (error instanceof GatewayError && (error.code === 'forbidden' || error.code === 'not_found')) return null
  throw error
}

function namingParticipant(
  error: unknown,
  { platform }: Device,
  participant: string,
  index: number,
): unknown {
  if (!(error instanceof GatewayError)) return error
  const about = `participants.${index}: ${JSON.stringify(participant)}`
  if (error.code === 'not_found') return new GatewayError('not_found', `${about} isn't on ${platform}`)
  if (error.code !== 'bad_request') return error
  return new GatewayError('bad_request', `${about}: ${error.message}`)
}
