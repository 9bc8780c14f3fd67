/**
 * Phone numbers of people whose Matrix users don't show them: WhatsApp's hidden ids (LIDs). Each is
 * looked up once and kept, so that one person stays one, whichever of their Matrix users speaks or
 * is written to. The profile at the homeserver is read first, as that needs no network; where it
 * has no number, the bridge is asked.
 */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError, isPassing } from '../../domain/errors.ts'
import { ghostLike, remoteIdOf } from '../../domain/ghosts.ts'
import type { BridgeContact, Bridges, MatrixSessions } from '../../domain/ports.ts'
import { isMatrixUserId } from '../../domain/written-recipients.ts'
import { type Clock, within } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { phoneAmong } from '../../lib/phone-numbers.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { ghostNamingOf, phoneOfGhost } from '../devices/ghosts.ts'
import type { PeopleRepository } from './people-repository.ts'
import { resolveContact } from './resolve.ts'

export interface PeoplesPhonesOptions {
  repository: Pick<PeopleRepository, 'findPhone' | 'findPhones' | 'putPhone' | 'usersOf'>
  bridges: Bridges
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
  clock: Clock
  logger: Logger
}

/** A message waits no longer than this for the number of its sender. */
const PATIENCE_MS = 1_000
/** A bridge that couldn't be asked is left alone for this long. */
const COOL_DOWN_MS = 15_000
/** A number that the bridge didn't know may have become known since. */
const ASK_AGAIN_MS = 3_600_000
/** A number that is known may have changed since. */
const CHECK_AGAIN_MS = 24 * 3_600_000

export type PeoplesPhones = ReturnType<typeof createPeoplesPhones>

export function createPeoplesPhones(options: PeoplesPhonesOptions) {
  const { repository, bridges, sessions, matrixUserOf, clock, logger } = options
  /** By devices, until when their bridges aren't asked. */
  const coolUntil = new Map<string, number>()
  const asking = new SingleFlight()

  async function phoneInProfile(userId: string, matrixUserId: string): Promise<string | null> {
    try {
      return phoneAmong(await sessions.actingAs(userId).identifiersOf(matrixUserId))
    } catch (error) {
      logger.debug({ err: error }, "a profile couldn't be read")
      return null
    }
  }

  async function phoneAtBridge(device: Device, userId: string, matrixUserId: string): Promise<string | null> {
    const bridge = bridges.forPlatform(device.platform)
    return (await resolveContact(bridge, device, userId, matrixUserId)).contact.phone
  }

  /** A number that was known stays so when nobody knows it any more. */
  async function keep(device: Device, matrixUserId: string, phone: string | null): Promise<void> {
    const known = phone ?? (await repository.findPhone(device.id, matrixUserId))?.phone ?? null
    await repository.putPhone(device.id, matrixUserId, known, clock.now())
  }

  async function ask(device: Device, matrixUserId: string): Promise<void> {
    try {
      const userId = await matrixUserOf(device.identityId)
      const phone =
        (await phoneInProfile(userId, matrixUserId)) ?? (await phoneAtBridge(device, userId, matrixUserId))
      await keep(device, matrixUserId, phone)
    } catch (error) {
      logger.debug({ device: device.id, err: error }, "the bridge couldn't be asked for a number")
      // After anything else the bridge has said that it knows no number.
      if (!(error instanceof GatewayError) || isPassing(error) || error.code === 'bridge_error')
        coolUntil.set(device.id, clock.steady() + COOL_DOWN_MS)
      else await keep(device, matrixUserId, null).catch(() => undefined)
    }
  }

  function askOnce(device: Device, matrixUserId: string): Promise<void> {
    return asking.run(keyOf(device, matrixUserId), () => ask(device, matrixUserId))
  }

  const isCooling = (device: Device) => clock.steady() < (coolUntil.get(device.id) ?? 0)

  return {
    /**
     * The number, as far as it is known, of a person whose contact is a Matrix user or an id of the
     * network.
     * @returns digits, null when it isn't known
     */
    async of(device: Device, contact: string): Promise<string | null> {
      const ghost = ghostOf(device, contact)
      if (ghost === null) return null
      return phoneOfGhost(device, ghost) ?? (await repository.findPhone(device.id, ghost))?.phone ?? null
    },

    /**
     * As `of`, for a Matrix user; undefined when it may be found out and wasn't asked for lately.
     * One that has been known for long is checked meanwhile.
     */
    async ofSender(device: Device, matrixUserId: string): Promise<string | null | undefined> {
      if (!isHidden(device, matrixUserId)) return phoneOfGhost(device, matrixUserId)
      const known = await repository.findPhone(device.id, matrixUserId)
      if (!known) return undefined
      // The clock may have been set back since.
      const ageMs = Math.abs(clock.now() - known.askedAt)
      if (known.phone === null) return ageMs > ASK_AGAIN_MS ? undefined : null
      if (ageMs > CHECK_AGAIN_MS && !known.isInBook && !isCooling(device)) void askOnce(device, matrixUserId)
      return known.phone
    },

    /** Asks the bridge about Matrix users, only as long as a message can wait. Never rejects. */
    async learn(device: Device, matrixUserIds: readonly string[]): Promise<void> {
      const deadline = clock.steady() + PATIENCE_MS
      for (const matrixUserId of matrixUserIds) {
        const left = deadline - clock.steady()
        if (left <= 0 || isCooling(device)) return
        await within(clock, left, askOnce(device, matrixUserId))
        if (asking.has(keyOf(device, matrixUserId))) coolUntil.set(device.id, clock.steady() + COOL_DOWN_MS)
      }
    },

    /** Adds the numbers that we know to contacts whose bridge gave none. */
    async fill(device: Device, contacts: readonly BridgeContact[]): Promise<BridgeContact[]> {
      const unknown = contacts.flatMap(({ matrixUserId, phone }) =>
        phone === null && matrixUserId !== null && isHidden(device, matrixUserId) ? [matrixUserId] : [],
      )
      if (unknown.length === 0) return [...contacts]
      const known = await repository.findPhones(device.id, unknown)
      return contacts.map(contact => ({
        ...contact,
        phone: contact.phone ?? known.get(contact.matrixUserId ?? '') ?? null,
      }))
    },

    /** @returns ids on the network that are known to be of the person with this number */
    async idsOf(device: Device, phone: string): Promise<string[]> {
      const naming = ghostNamingOf(device)
      const users = await repository.usersOf(device.id, phone)
      return users.flatMap(user => remoteIdOf(user, naming) ?? [])
    },

    /**
     * Notes facts about a person that a bridge gave in answer to something else.
     * @param written the id or Matrix user by which they were looked up: the bridge may answer with
     * another one of theirs
     */
    async note(device: Device, { matrixUserId, phone }: BridgeContact, written?: string): Promise<void> {
      if (phone === null) return
      const asked = written === undefined || isMatrixUserId(written) ? written : userOfId(device, written)
      for (const user of new Set([matrixUserId, asked])) {
        if (!user || phoneOfGhost(device, user) !== null) continue
        const known = await repository.findPhone(device.id, user)
        if (known?.phone !== phone) await repository.putPhone(device.id, user, phone, clock.now())
      }
    },
  }
}

const keyOf = (device: Device, matrixUserId: string) => `${device.id} ${matrixUserId}`

/** True for a ghost that doesn't show its number, on a network where accounts are their numbers. */
function isHidden(device: Device, matrixUserId: string): boolean {
  if (device.loginId !== device.phone || phoneOfGhost(device, matrixUserId) !== null) return false
  return remoteIdOf(matrixUserId, ghostNamingOf(device)) !== null
}

/** Ids on the network that can't be anything else: WhatsApp's hidden ids, and UUIDs. */
const NETWORK_ID = /^(?:lid-\d+|[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12})$/

/** WhatsApp writes a hidden id as `…@lid`, its bridge as `lid-…`. */
function asBridgesWrite(id: string): string {
  return id.replace(/^(\d+)(?::\d+)?@lid$/, 'lid-$1')
}

/**
 * The Matrix user of a contact that is written as an id which can't be anything else, so that all
 * ways of writing it are one; null for any other.
 */
export function userOfId(device: Device, contact: string): string | null {
  return NETWORK_ID.test(asBridgesWrite(contact)) ? ghostOf(device, contact) : null
}

/**
 * The Matrix user for a contact that isn't written as a phone number; null when it can't be told.
 */
function ghostOf(device: Device, contact: string): string | null {
  if (isMatrixUserId(contact)) return contact
  if (device.ghostUserId === null) return null
  return ghostLike(device.ghostUserId, device.loginId, asBridgesWrite(contact))
}

/**
 * The Matrix user for whom a direct chat's id on the network stands, such as 237@s.whatsapp.net;
 * null when it can't be told.
 */
export function userOfChannel(device: Device, channelId: string): string | null {
  return ghostOf(device, channelId.replace(/@s\.whatsapp\.net$|^user:/, ''))
}
