/** Devices: the logins at the bridges, kept in step with what the bridges say. */
import type { Device } from '../../db/schema/index.ts'
import { phoneDigits } from '../../domain/addresses.ts'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { Bridge, BridgeLogin, Bridges } from '../../domain/ports.ts'
import type { DeviceState } from '../../domain/states.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import type { DeviceRepository } from './repository.ts'
import type { Devices, DeviceView } from './types.ts'

export interface DevicesOptions {
  repository: DeviceRepository
  bridges: Bridges
  /** The Matrix user of an identity. */
  matrixUserOf(identityId: string): Promise<string>
  /** Called once for each device that was linked or linked again. */
  onLinked(device: Device): void
  clock: Clock
  logger: Logger
}

/** The devices use cases as the other modules know them. */
export interface LinkedDevices extends Devices {
  /**
   * The linked device that an address of the API means.
   * @param platform null: any
   * @returns null when there is none, or it is logged out
   */
  find(identityId: string, deviceId: string, platform: string | null): Promise<Device | null>
  /** As `find`, but also a device that is logged out: it may be linked again. */
  findToRelink(identityId: string, deviceId: string, platform: string): Promise<Device | null>
  /** Devices of the identity that are linked. */
  linked(identityId: string): Promise<Device[]>
  get(id: string): Promise<Device | null>
  /** Logs every device of the identity out. Rejects when a bridge can't be reached. */
  removeAll(identityId: string): Promise<void>
  /** Takes over what the bridge says about the identity's logins: new ones, changed ones, and those that are gone. */
  reconcile(identityId: string, platform: string): Promise<void>
  /** Reconciles every identity that has a device. A bridge that can't be reached marks its devices disconnected. */
  reconcileAll(): Promise<void>
}

/** A bridge that answers slower than this doesn't hold up the list of devices. */
const LIST_PATIENCE_MS = 2_000

/** bridgev2's state_event, and what it means for the device. */
const STATES: Record<string, DeviceState> = {
  STARTING: 'connecting',
  UNCONFIGURED: 'connecting',
  CONNECTING: 'connecting',
  RUNNING: 'connected',
  BACKFILLING: 'connected',
  CONNECTED: 'connected',
  TRANSIENT_DISCONNECT: 'disconnected',
  BRIDGE_UNREACHABLE: 'disconnected',
  BAD_CREDENTIALS: 'logged_out',
  LOGGED_OUT: 'logged_out',
  UNKNOWN_ERROR: 'error',
}

export function createDevices(options: DevicesOptions): LinkedDevices {
  const { repository, bridges, matrixUserOf, onLinked, clock, logger } = options
  const reconciling = new Map<string, Promise<void>>()

  const isLinked = (device: Device) => device.state !== 'logged_out'

  async function linked(identityId: string): Promise<Device[]> {
    return (await repository.listAll(identityId)).filter(isLinked)
  }

  async function find(identityId: string, deviceId: string, platform: string | null): Promise<Device | null> {
    return meant(await linked(identityId), deviceId, platform)
  }

  async function reconcileNow(identityId: string, platform: string): Promise<void> {
    const bridge = bridges.forPlatform(platform)
    const userId = await matrixUserOf(identityId)
    const logins = await bridge.logins(userId)
    const known = await repository.listAll(identityId)
    for (const login of logins) {
      const before = known.find(device => device.platform === platform && device.loginId === login.id)
      // A login that was already lost when we first hear of it is no device.
      if (!before && stateOf(login) === 'logged_out') continue
      await adopt(identityId, bridge, userId, login, before)
    }
    for (const device of known) {
      if (device.platform !== platform || !isLinked(device)) continue
      if (logins.some(login => login.id === device.loginId)) continue
      await repository.setState(device.id, 'logged_out', 'the bridge no longer has this login', clock.now())
    }
  }

  async function adopt(
    identityId: string,
    bridge: Bridge,
    userId: string,
    login: BridgeLogin,
    before: Device | undefined,
  ): Promise<void> {
    const phone = login.phone === null ? null : phoneDigits(login.phone)
    const snapshot = {
      loginId: login.id,
      deviceId: phone ?? login.id,
      phone,
      name: login.name,
      state: stateOf(login),
      reason: login.reason,
    }
    const newId = timeOrderedId('dev_')
    const device = await repository.upsert(identityId, bridge.platform, snapshot, newId, clock.now())
    const isNew = !before || (before.state === 'logged_out' && device.state !== 'logged_out')
    if (isNew) onLinked(device)
    if (device.ghostUserId === null) await learnGhost(device, bridge, userId)
  }

  /** The Matrix user by which the account's own messages from the phone come: they aren't messages received. */
  async function learnGhost(device: Device, bridge: Bridge, userId: string): Promise<void> {
    try {
      const self = await bridge.resolveIdentifier(userId, device.loginId, device.phone ?? device.loginId)
      if (self.matrixUserId) await repository.setGhost(device.id, self.matrixUserId)
    } catch (error) {
      logger.debug(
        { device: device.id, err: error },
        "the bridge doesn't say who speaks for the account itself",
      )
    }
  }

  /** One reconciliation of an identity and platform at a time; who asks meanwhile gets the next one. */
  async function reconcile(identityId: string, platform: string): Promise<void> {
    const key = `${identityId}/${platform}`
    const before = reconciling.get(key)
    const run = (before ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => reconcileNow(identityId, platform))
    reconciling.set(key, run)
    try {
      await run
    } finally {
      if (reconciling.get(key) === run) reconciling.delete(key)
    }
  }

  async function reconcileOrMark(identityId: string, platform: string): Promise<void> {
    try {
      await reconcile(identityId, platform)
    } catch (error) {
      const reason = messageOf(error)
      for (const device of await linked(identityId)) {
        if (device.platform !== platform) continue
        await repository.setState(device.id, 'disconnected', reason, clock.now())
      }
    }
  }

  async function logOut({ id, identityId, platform, loginId }: Device): Promise<void> {
    try {
      await bridges.forPlatform(platform).logout(await matrixUserOf(identityId), loginId)
    } catch (error) {
      // Gone at the bridge already: what was asked for is so.
      if (!(error instanceof GatewayError && error.code === 'not_found')) throw error
    }
    await repository.setState(id, 'logged_out', 'removed by the API', clock.now())
  }

  return {
    find,
    findToRelink: async (identityId, deviceId, platform) =>
      meant(await repository.listAll(identityId), deviceId, platform),
    linked,
    get: repository.get,
    reconcile,

    async list(identityId) {
      const fresh = Promise.all(bridges.platforms.map(platform => reconcileOrMark(identityId, platform)))
      const waiting = new AbortController()
      await Promise.race([fresh, clock.sleep(LIST_PATIENCE_MS, waiting.signal)])
      waiting.abort()
      return (await linked(identityId)).map(view)
    },

    async remove(identityId, deviceId, platform) {
      // A platform there is none of is named as such.
      bridges.forPlatform(platform)
      const device = await find(identityId, deviceId, platform)
      if (!device)
        throw new GatewayError('not_found', `device_id: there is no ${platform} device ${deviceId}`)
      await logOut(device)
    },

    async removeAll(identityId) {
      for (const device of await linked(identityId)) await logOut(device)
    },

    async reconcileAll() {
      for (const platform of bridges.platforms) {
        for (const identityId of await repository.identitiesWith(platform))
          await reconcileOrMark(identityId, platform)
      }
    },
  }
}

/** The device that an address of the API means. */
function meant(devices: readonly Device[], deviceId: string, platform: string | null): Device | null {
  const digits = phoneDigits(deviceId)
  const candidates = devices.filter(
    device =>
      device.loginId === deviceId ||
      device.deviceId === deviceId ||
      (digits !== null && device.phone === digits),
  )
  return candidates.find(device => platform === null || device.platform === platform) ?? null
}

function stateOf(login: BridgeLogin): DeviceState {
  // A bridge that says nothing about the state has a login that works, as far as it knows.
  return login.stateEvent === null ? 'connected' : (STATES[login.stateEvent] ?? 'connecting')
}

function view(device: Device): DeviceView {
  return {
    platform: device.platform,
    device_id: device.deviceId,
    state: device.state,
    reason: device.stateReason,
    since: rfc3339(device.stateSince),
    name: device.name,
    phone: device.phone,
    linked_at: rfc3339(device.linkedAt),
  }
}
