/** Lists whom a device can write to: people of its address book and network, and its groups. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { BridgeContact, Bridges } from '../../domain/ports.ts'
import type { CheckView, ContactView, GroupView } from '../../domain/views/contact.ts'
import { normaliseContact, trimmed } from '../../lib/phone-numbers.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { loggedOut, noSuchDevice } from '../devices/refusals.ts'
import type { ChatRepository } from './chat-repository.ts'
import { byName, contactView, matches, type Person, peopleIn } from './person.ts'
import type { PeoplesPhones } from './phones.ts'
import { resolveContact } from './resolve.ts'

export interface DirectoryOptions {
  bridges: Bridges
  devices: Pick<LinkedDevices, 'find' | 'linked'>
  chats: Pick<ChatRepository, 'groupsOf'>
  phones: Pick<PeoplesPhones, 'fill' | 'idsOf' | 'learn' | 'note' | 'of' | 'ofSender'>
  matrixUserOf(identityId: string): Promise<string>
}

export type Directory = ReturnType<typeof createDirectory>

export function createDirectory({ bridges, devices, chats, phones, matrixUserOf }: DirectoryOptions) {
  async function deviceOf(identityId: string, deviceId: string, platform: string | null): Promise<Device> {
    const device = await devices.find(identityId, deviceId, platform)
    if (!device) throw await noSuchDevice(devices, identityId, deviceId, platform)
    if (device.state === 'logged_out') throw loggedOut(device)
    return device
  }

  /** Matches in the address book; where the network lists none, people that its search finds. */
  async function people(device: Device, query: string): Promise<Person[]> {
    const { platform, identityId, loginId } = device
    const bridge = bridges.forPlatform(platform)
    const userId = await matrixUserOf(identityId)
    const known = async (contacts: BridgeContact[]) => peopleIn(await phones.fill(device, contacts))
    try {
      const book = await known(await bridge.contacts(userId, loginId))
      return book.filter(person => matches(person, query))
    } catch (error) {
      const mayBeFound = error instanceof GatewayError && error.code === 'not_supported' && query !== ''
      if (!mayBeFound) throw error
      return known(await bridge.search(userId, loginId, normaliseContact(query)))
    }
  }

  /** With all that is known of somebody beside what their bridge says. */
  async function personOf(device: Device, contact: BridgeContact): Promise<Person> {
    const { matrixUserId } = contact
    const phone = contact.phone ?? (matrixUserId && (await phoneOf(device, matrixUserId)))
    const others = phone === null ? [] : await phones.idsOf(device, phone)
    return { ...contact, phone, nativeIds: [...new Set([contact.id, ...others])] }
  }

  async function phoneOf(device: Device, matrixUserId: string): Promise<string | null> {
    if ((await phones.ofSender(device, matrixUserId)) === undefined)
      await phones.learn(device, [matrixUserId])
    return phones.of(device, matrixUserId)
  }

  return {
    /**
     * By name.
     * @param limit at most so many
     * @throws GatewayError not_found (no such device), not_supported (the network lists nobody, and
     * can't be searched without a query), and as bridges do
     */
    async contacts(
      identityId: string,
      deviceId: string,
      { platform, query = '', limit }: { platform: string | null; query?: string | undefined; limit: number },
    ): Promise<ContactView[]> {
      const device = await deviceOf(identityId, deviceId, platform)
      const found = await people(device, query.trim())
      return found.sort(byName).slice(0, limit).map(contactView)
    },

    /**
     * Groups that the device is in and can write to, by name. One whose id isn't known yet can be
     * written to by its room.
     * @throws GatewayError not_found (no such device), conflict (logged out)
     */
    async groups(identityId: string, deviceId: string, platform: string | null): Promise<GroupView[]> {
      const device = await deviceOf(identityId, deviceId, platform)
      return (await chats.groupsOf(device)).map(({ channelId, roomId: room, name, kind }) => ({
        id: channelId ?? room,
        name,
        kind,
        room,
      }))
    },

    /**
     * Tells if somebody on the network answers to a phone number, a handle or an id.
     * @throws GatewayError not_found (no such device), conflict (logged out), bad_request (the
     * network can't know it), not_supported, and as bridges do
     */
    async check(
      identityId: string,
      deviceId: string,
      platform: string | null,
      identifier: string,
    ): Promise<CheckView> {
      const device = await deviceOf(identityId, deviceId, platform)
      const bridge = bridges.forPlatform(device.platform)
      try {
        const { contact } = await resolveContact(bridge, device, await matrixUserOf(identityId), identifier)
        await phones.note(device, contact, trimmed(identifier))
        return { exists: true, ...contactView(await personOf(device, contact)) }
      } catch (error) {
        if (error instanceof GatewayError && error.code === 'not_found') return NOBODY
        if (!(error instanceof GatewayError && error.code === 'bad_request')) throw error
        throw new GatewayError('bad_request', `identifier: ${error.message}`)
      }
    },
  }
}

const NOBODY: CheckView = {
  exists: false,
  id: null,
  name: null,
  phone: null,
  native_ids: [],
  matrix_id: null,
  room: null,
  identifiers: [],
}
