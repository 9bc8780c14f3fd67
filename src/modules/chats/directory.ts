/** Lists whom a device can write to: people of its address book and network, and its groups. */
import pLimit from 'p-limit'
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { BridgeContact, Bridges } from '../../domain/ports.ts'
import type { ChecksView, CheckView, ContactView, GroupView } from '../../domain/views/contact.ts'
import type { Page } from '../../domain/views/page.ts'
import type { Clock } from '../../lib/clock.ts'
import { normaliseContact, trimmed } from '../../lib/phone-numbers.ts'
import { createRateBucket } from '../../lib/rate-bucket.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { loggedOut, noSuchDevice } from '../devices/refusals.ts'
import type { Avatars } from '../media/avatars.ts'
import type { ChatRepository } from './chat-repository.ts'
import { byName, contactView, matches, type Person, peopleIn } from './person.ts'
import type { PeoplesPhones } from './phones.ts'
import { contactProblem, resolveContact } from './resolve.ts'

export interface DirectoryOptions {
  bridges: Bridges
  devices: Pick<LinkedDevices, 'find' | 'linked'>
  chats: Pick<ChatRepository, 'groupsOf'>
  phones: Pick<PeoplesPhones, 'fill' | 'idsOf' | 'learn' | 'note' | 'of' | 'ofSender'>
  avatars: Pick<Avatars, 'urlOf'>
  matrixUserOf(identityId: string): Promise<string>
  clock: Pick<Clock, 'steady'>
}

/** Ends a page of contacts: the last one's name and id. */
export type ContactPlace = readonly [name: string, id: string]

export interface ContactsAsked {
  platform: string | null
  query?: string | undefined
  limit: number
  after?: ContactPlace | undefined
}

/** Numbers that a device may check at once, and how soon it may check another. */
const CHECKS = { size: 100, everyMs: 6_000 }
/** Numbers of one call that the bridge is asked about at a time. */
const CONCURRENCY = 4

export type Directory = ReturnType<typeof createDirectory>

export function createDirectory(options: DirectoryOptions) {
  const { bridges, devices, chats, phones, avatars, matrixUserOf, clock } = options
  const bucket = createRateBucket({ ...CHECKS, clock })

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

  function shown({ identityId }: Device, person: Person): ContactView {
    return contactView(person, avatars.urlOf(identityId, person.avatarUri ?? null))
  }

  /** @param field names it in an error */
  async function answersTo(device: Device, identifier: string, field: string): Promise<CheckView> {
    const bridge = bridges.forPlatform(device.platform)
    try {
      const userId = await matrixUserOf(device.identityId)
      const { contact } = await resolveContact(bridge, device, userId, identifier)
      await phones.note(device, contact, trimmed(identifier))
      return { exists: true, ...shown(device, await personOf(device, contact)) }
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'not_found') return NOBODY
      if (!(error instanceof GatewayError && error.code === 'bad_request')) throw error
      throw new GatewayError('bad_request', `${field}: ${error.message}`)
    }
  }

  return {
    /**
     * By name.
     * @param limit at most so many
     * @param after the name and id of the last one of the page before
     * @throws GatewayError not_found (no such device), not_supported (the network lists nobody, and
     * can't be searched without a query), and as bridges do
     */
    async contacts(
      identityId: string,
      deviceId: string,
      { platform, query = '', limit, after }: ContactsAsked,
    ): Promise<Page<ContactView, ContactPlace>> {
      const device = await deviceOf(identityId, deviceId, platform)
      const found = (await people(device, query.trim())).sort(byName)
      const [name = '', id = ''] = after ?? []
      const start = after ? found.findIndex(person => byName(person, { name, id }) > 0) : 0
      const page = start === -1 ? [] : found.slice(start, start + limit)
      const last = start + limit < found.length ? page.at(-1) : undefined
      return { data: page.map(person => shown(device, person)), next: last ? [last.name, last.id] : null }
    },

    /**
     * Groups that the device is in and can write to, by name. One whose id isn't known yet can be
     * written to by its room.
     * @throws GatewayError not_found (no such device), conflict (logged out)
     */
    async groups(identityId: string, deviceId: string, platform: string | null): Promise<GroupView[]> {
      const device = await deviceOf(identityId, deviceId, platform)
      return (await chats.groupsOf(device)).map(({ id, channelId, roomId: room, name, kind }) => ({
        id: channelId ?? room,
        chat_id: id,
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
      return answersTo(await deviceOf(identityId, deviceId, platform), identifier, 'identifier')
    },

    /**
     * As `check`, for each of several. Networks watch who asks about many numbers, so a device has
     * a bucket of checks.
     * @returns in the same order
     * @throws GatewayError as `check`, naming the number; too_many_requests, before the bridge is
     * asked about any
     */
    async checkAll(
      identityId: string,
      deviceId: string,
      platform: string | null,
      numbers: readonly string[],
    ): Promise<ChecksView> {
      const device = await deviceOf(identityId, deviceId, platform)
      for (const [index, number] of numbers.entries()) {
        const problem = contactProblem(number)
        if (problem !== null) throw new GatewayError('bad_request', `numbers.${index}: ${problem}`)
      }
      const waitMs = bucket.take(device.id, numbers.length)
      if (waitMs > 0) throw tooMany(numbers.length, waitMs)
      const data = await pLimit(CONCURRENCY).map(numbers, async (number, index) => ({
        number,
        ...(await answersTo(device, number, `numbers.${index}`)),
      }))
      return { data }
    },
  }
}

function tooMany(count: number, waitMs: number): GatewayError {
  const { size, everyMs } = CHECKS
  return new GatewayError(
    'too_many_requests',
    `numbers: this device can't check ${count} now: it may check ${size}, and one more every ${everyMs / 1_000} s`,
    waitMs / 1_000,
  )
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
  avatar_url: null,
}
