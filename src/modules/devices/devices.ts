/** Devices: the logins at the bridges, kept in step with what the bridges say. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Emits, Hears, StateReport } from '../../domain/signals.ts'
import type { ListedDevice } from '../../domain/views/device.ts'
import { within } from '../../lib/clock.ts'
import { phoneDigits } from '../../lib/phone-numbers.ts'
import type { Recorder } from '../idempotency/types.ts'
import { deviceView, reportedState } from './device-state.ts'
import { createReconciliation, isLinked, type ReconciliationOptions } from './reconciliation.ts'
import { ambiguous, noSuchDevice } from './refusals.ts'

export interface DevicesOptions extends ReconciliationOptions {
  /** The identity of a Matrix user, null when it is none of ours. */
  identityOf(matrixUserId: string): Promise<string | null>
  signals: Emits<'device-settled'> & Hears<'account-changed' | 'bridge-state'>
}

/** The devices use cases as the other rooms know them. */
export type LinkedDevices = ReturnType<typeof createDevices>

/** The devices use cases as clients know them. */
export type Devices = Pick<LinkedDevices, 'list' | 'show' | 'rename' | 'remove' | 'removeOne'>

/** A bridge that answers slower than this doesn't hold up the list of devices. */
const LIST_PATIENCE_MS = 2_000
const DELETED = 'deleted by the API'

export function createDevices(options: DevicesOptions) {
  const { repository, bridges, matrixUserOf, identityOf, signals, clock, logger } = options
  const reconciliation = createReconciliation(options)

  async function listed(identityId: string): Promise<Device[]> {
    return (await repository.listAll(identityId)).filter(device => device.removedAt === null)
  }

  /** Devices of the identity that are linked. */
  async function linked(identityId: string): Promise<Device[]> {
    return (await listed(identityId)).filter(isLinked)
  }

  /** Devices that an address of the API may mean, those that are linked first. */
  async function meant(identityId: string, deviceId: string, platform: string | null): Promise<Device[]> {
    const digits = phoneDigits(deviceId)
    const means = (device: Device) =>
      (platform === null || device.platform === platform) &&
      (device.loginId === deviceId ||
        device.deviceId === deviceId ||
        (digits !== null && device.phone === digits))
    const candidates = (await listed(identityId)).filter(means)
    return [...candidates.filter(isLinked), ...candidates.filter(device => !isLinked(device))]
  }

  /**
   * The device that an address of the API means: one that is linked, else one that was logged out.
   * @param platform null: any
   * @returns null when there is none
   */
  async function find(identityId: string, deviceId: string, platform: string | null): Promise<Device | null> {
    return (await meant(identityId, deviceId, platform))[0] ?? null
  }

  /** For calls about one device: a logged out one of another platform may be meant, too. */
  async function theOne(identityId: string, deviceId: string, platform: string | null): Promise<Device> {
    const candidates = await meant(identityId, deviceId, platform)
    const [device] = candidates
    if (device === undefined) throw await noSuchDevice({ linked }, identityId, deviceId, platform)
    if (candidates.some(other => other.platform !== device.platform)) throw ambiguous(deviceId, candidates)
    return device
  }

  /** A bridge that can't be asked is a device's state, and no failure of the caller. */
  async function askBridge(identityId: string, platform: string): Promise<void> {
    try {
      await reconciliation.reconcile(identityId, platform)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
    }
  }

  /** @returns the platforms whose bridges were asked: the probe may have asked others just now */
  async function askBridges(identityId: string, platforms: readonly string[]): Promise<string[]> {
    const asked = platforms.filter(platform => !reconciliation.isFresh(identityId, platform))
    const answers = asked.map(platform => askBridge(identityId, platform))
    if (asked.length > 0) await within(clock, LIST_PATIENCE_MS, Promise.all(answers))
    return asked
  }

  function listedView(device: Device, now: number): ListedDevice {
    return { id: device.id, ...deviceView(device, now) }
  }

  /** Where the bridge no longer knows the login, it is logged out already. */
  async function logOut({ identityId, platform, loginId, state }: Device): Promise<void> {
    if (!bridges.platforms.includes(platform)) return
    try {
      await bridges.forPlatform(platform).logout(await matrixUserOf(identityId), loginId)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // A lost login left nothing of use at the bridge: no reason to keep the device.
      if (error.code !== 'not_found' && state !== 'logged_out') throw error
    }
  }

  function removeDevice(device: Device): Promise<void> {
    return reconciliation.alone(device.identityId, device.platform, async () => {
      await logOut(device)
      await repository.remove(device.id, DELETED, clock.now())
    })
  }

  /** Asks the bridge about the user's logins at once. @param report tells what changed, if known */
  async function takeOver(platform: string, matrixUserId: string, report?: StateReport): Promise<void> {
    const identityId = await identityOf(matrixUserId)
    if (identityId === null || !bridges.platforms.includes(platform)) return
    if (report) {
      const { state } = reportedState({ ...report, reason: null })
      reconciliation.noteLoginState(identityId, platform, report.loginId, state === 'logged_out')
    }
    bridges.forPlatform(platform).forgetLogins(matrixUserId)
    await askBridge(identityId, platform)
  }

  /** The probe finds out by itself what a bridge says of itself, and changes to all accounts. */
  function follow(platform: string, matrixUserId: string | null, report?: StateReport): void {
    if (matrixUserId === null) return
    takeOver(platform, matrixUserId, report).catch(error =>
      logger.error({ platform, err: error }, "a bridge's state could not be taken over"),
    )
  }

  signals.on('bridge-state', (platform, report) => follow(platform, report.matrixUserId, report))
  signals.on('account-changed', matrixUserId => {
    for (const platform of bridges.platforms) follow(platform, matrixUserId)
  })

  return {
    ...reconciliation,

    find,

    linked,

    /** Devices of the identity, those that are linked first. */
    async linkedFirst(identityId: string): Promise<Device[]> {
      const all = await listed(identityId)
      return [...all.filter(isLinked), ...all.filter(device => !isLinked(device))]
    },

    /** Also one that was removed. */
    get: repository.get,

    /**
     * A login at the platform's bridge is about to be made for the identity: what is sent to it
     * from now on is received.
     * @throws GatewayError storage_full
     */
    awaitLogin: (identityId: string, platform: string) =>
      repository.awaitLogin(identityId, platform, clock.now()),

    /** Oldest link first, those logged out at the phone included. */
    async list(identityId: string): Promise<ListedDevice[]> {
      const asked = await askBridges(identityId, bridges.platforms)
      const found = await listed(identityId)
      // The probe asks about those who have devices.
      for (const platform of asked)
        if (found.every(device => device.platform !== platform))
          reconciliation.noteProbed(identityId, platform)
      const now = clock.now()
      return found.map(device => listedView(device, now))
    },

    /**
     * One device, as the list has it.
     * @param platform null: any
     * @throws GatewayError not_found; conflict when devices of several platforms may be meant
     */
    async show(identityId: string, deviceId: string, platform: string | null): Promise<ListedDevice> {
      const { platform: its } = await theOne(identityId, deviceId, platform)
      await askBridges(identityId, [its])
      return listedView(await theOne(identityId, deviceId, its), clock.now())
    },

    /**
     * Gives a device a name of our own, which stays whatever the network calls it.
     * @param name null: the network's again
     * @param record keeps the answer
     * @throws GatewayError not_found; conflict when devices of several platforms may be meant
     */
    async rename(
      identityId: string,
      deviceId: string,
      { platform, name }: { platform: string | null; name: string | null },
      record?: Recorder<ListedDevice>,
    ): Promise<ListedDevice> {
      const { id } = await theOne(identityId, deviceId, platform)
      const now = clock.now()
      const renamed = await repository.rename(id, name, now, (tx, device) =>
        record?.(tx, listedView(device, now)),
      )
      if (!renamed) throw await noSuchDevice({ linked }, identityId, deviceId, platform)
      return listedView(renamed, now)
    },

    /**
     * Logs the device out at its bridge and takes it off the list. One that was logged out already
     * goes whatever the bridge says.
     * @param deviceId phone digits, +E.164 or login id
     * @throws GatewayError not_found; bridge_error or bridge_unavailable, then nothing is changed
     */
    async remove(identityId: string, deviceId: string, platform: string): Promise<void> {
      const device = await find(identityId, deviceId, platform)
      if (device) return removeDevice(device)
      // A platform there is none of is named as such.
      bridges.forPlatform(platform)
      throw await noSuchDevice({ linked }, identityId, deviceId, platform)
    },

    /**
     * As `remove`, for an address that may do without a platform.
     * @param platform null: any
     * @throws GatewayError as remove, and conflict when devices of several platforms may be meant
     */
    async removeOne(identityId: string, deviceId: string, platform: string | null): Promise<void> {
      await removeDevice(await theOne(identityId, deviceId, platform))
    },

    /** Fails messages that wait for devices of the identity, even if bridges are away. */
    discardQueues: (identityId: string) => repository.discardQueues(identityId, clock.now()),

    /**
     * Removes the device of a login that its bridge no longer has, whoever is at the bridge's place
     * now.
     * @param userId Matrix user of the identity
     * @param of.linkedBefore a device linked since then (epoch milliseconds) is another login, and
     * stays
     */
    async discard(
      platform: string,
      userId: string,
      loginId: string,
      { linkedBefore, reason }: { linkedBefore: number; reason: string },
    ): Promise<void> {
      const identityId = await identityOf(userId)
      if (identityId === null) return
      await reconciliation.alone(identityId, platform, async () => {
        const device = (await listed(identityId)).find(
          candidate => candidate.platform === platform && candidate.loginId === loginId,
        )
        if (device && device.linkedAt < linkedBefore) await repository.remove(device.id, reason, clock.now())
      })
    },

    /** Removes every device of the identity. Rejects when a bridge can't be reached. */
    async removeAll(identityId: string): Promise<void> {
      for (const device of await listed(identityId)) await removeDevice(device)
    },
  }
}
