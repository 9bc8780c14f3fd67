/**
 * Brings the devices of an identity in line with its logins at a bridge: new ones, changed ones,
 * and those that are gone. For each identity and platform one thing happens at a time, so an answer
 * of the bridge is written before the next one is asked for.
 */
import { BridgeStarting } from '../../bridges/start-watch.ts'
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { ghostLike } from '../../domain/ghosts.ts'
import type { Bridge, BridgeContact, BridgeLogin, Bridges } from '../../domain/ports.ts'
import type { Emits } from '../../domain/signals.ts'
import type { DeviceState } from '../../domain/states.ts'
import type { Clock } from '../../lib/clock.ts'
import { KeyedMutex } from '../../lib/keyed-mutex.ts'
import type { Logger } from '../../lib/logger.ts'
import { phoneDigits } from '../../lib/phone-numbers.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { Absences } from './absences.ts'
import { type DeviceRepository, isAsReported, type LoginSnapshot } from './device-repository.ts'
import { PLAIN_REASONS, reportedState } from './device-state.ts'
import { ghostNamingOf } from './ghosts.ts'

export interface ReconciliationOptions {
  repository: DeviceRepository
  bridges: Bridges
  /** The Matrix user of an identity. */
  matrixUserOf(identityId: string): Promise<string>
  /** Why the Matrix account of a user doesn't work now; null when it does. */
  accountTrouble(userId: string): string | null
  /** Told of each device that was linked, or linked again. */
  contacts: { refresh(device: Device): Promise<unknown> }
  /** Told who the account itself is, once the bridge has said so. */
  phones: { note(device: Device, self: BridgeContact): Promise<void> }
  signals: Emits<'device-settled'>
  clock: Clock
  logger: Logger
}

const GHOST_RETRY_MS = 600_000
/**
 * An answer of the bridge is as good as asking again for this long: somewhat longer than a round of
 * the probe.
 */
const FRESH_MS = 3_000

export function createReconciliation(options: ReconciliationOptions) {
  const { repository, bridges, matrixUserOf, accountTrouble, contacts, phones, signals, clock, logger } =
    options
  const mutex = new KeyedMutex()
  const absences = new Absences(clock)
  /** How often each platform was out of reach as a whole: an answer from before is out of date. */
  const outages = new Map<string, number>()
  /** When a bridge may be asked again who speaks for a device itself, after it didn't say. */
  const askAgainAt = new Map<string, number>()
  const outagesOf = (platform: string) => outages.get(platform) ?? 0
  /**
   * When each bridge was last asked about an identity, the latest last; older ones than `FRESH_MS`
   * are forgotten.
   */
  const probedAt = new Map<string, number>()
  const keyOf = (identityId: string, platform: string) => `${identityId}/${platform}`

  async function reconcileNow(identityId: string, platform: string): Promise<void> {
    const bridge = bridges.forPlatform(platform)
    const userId = await matrixUserOf(identityId)
    const outagesBefore = outagesOf(platform)
    const logins = await bridge.logins(userId)
    const known = (await repository.listAll(identityId)).filter(device => device.platform === platform)
    if (outagesOf(platform) !== outagesBefore) return
    for (const login of logins) {
      const before = known.find(device => device.loginId === login.id)
      await adopt(identityId, bridge, userId, snapshotOf(login, accountTrouble(userId)), before)
    }
    const unlisted = known.filter(
      device => isLinked(device) && !logins.some(login => login.id === device.loginId),
    )
    const { reported, missed } = absences.gone(keyOf(identityId, platform), unlisted)
    // The next answer about these must not be a remembered one.
    if (reported.length + missed.length < unlisted.length) bridge.forgetLogins(userId)
    await mark(reported, 'logged_out', PLAIN_REASONS.logged_out)
    if (missed.length === 0) return
    const others = (await repository.linkedOn(platform)).filter(device => device.identityId !== identityId)
    const isTaken = ({ loginId }: Device) => others.some(other => other.loginId === loginId)
    const [taken, lost] = [missed.filter(isTaken), missed.filter(device => !isTaken(device))]
    await mark(taken, 'logged_out', 'it was linked with another token since')
    await mark(lost, 'logged_out', 'the bridge no longer has this login')
  }

  async function adopt(
    identityId: string,
    bridge: Bridge,
    userId: string,
    login: LoginSnapshot,
    before: Device | undefined,
  ): Promise<void> {
    // A login that was lost when we first hear of it is no device, nor is one that was deleted.
    if (login.state === 'logged_out' && (!before || before.removedAt !== null)) return
    if (before && isAsReported(before, login)) return learnGhost(before, bridge, userId)
    const newId = timeOrderedId('dev_')
    const device = await repository.adopt(identityId, bridge.platform, login, newId, clock.now())
    if (device.state !== 'logged_out' && (!before || !isLinked(before))) void contacts.refresh(device)
    const isLessRestricted = (before?.restrictedUntil ?? 0) > (device.restrictedUntil ?? 0)
    if (device.state === 'connected' && (before?.state !== 'connected' || isLessRestricted))
      signals.emit('device-settled', device.id)
    await learnGhost(device, bridge, userId)
  }

  /** Learns the Matrix user of the account's own messages from the phone: they aren't received. */
  async function learnGhost(device: Device, bridge: Bridge, userId: string): Promise<void> {
    if (ghostNamingOf(device) !== null || device.state !== 'connected') return
    if (clock.steady() < (askAgainAt.get(device.id) ?? 0)) return
    askAgainAt.set(device.id, clock.steady() + GHOST_RETRY_MS)
    try {
      const self = await bridge.resolveIdentifier(userId, device.loginId, device.phone ?? device.loginId)
      if (!self.matrixUserId) return
      // A hidden id doesn't show how ghosts are named after numbers; the account's own words may
      // come by either.
      const byLogin = self.phone === device.loginId && ghostLike(self.matrixUserId, self.id, device.loginId)
      const ghostUserId = byLogin || self.matrixUserId
      const learned = { ...device, ghostUserId }
      await repository.setGhost(device.id, ghostUserId)
      await phones.note(learned, self)
      if (ghostNamingOf(learned) !== null) askAgainAt.delete(device.id)
    } catch (error) {
      logger.debug(
        { device: device.id, err: error },
        "the bridge doesn't say who speaks for the account itself",
      )
    }
  }

  /** Marks a bridge that can't be asked in the same turn: a later answer is newer. */
  async function reconcileOrMark(identityId: string, platform: string): Promise<void> {
    try {
      await reconcileNow(identityId, platform)
    } catch (error) {
      absences.forget(keyOf(identityId, platform))
      const isOutage = error instanceof GatewayError && error.code !== 'bad_request'
      if (isOutage && !(error instanceof BridgeStarting))
        await disconnect(identityId, platform, error.message)
      throw error
    }
  }

  /** Marks the identity's devices of the platform as disconnected, those logged out excepted. */
  async function disconnect(identityId: string, platform: string, reason: string): Promise<void> {
    const affected = (await repository.listAll(identityId)).filter(
      device => device.platform === platform && isLinked(device),
    )
    const isNews = (device: Device) => device.state !== 'disconnected' || device.stateReason !== reason
    await mark(affected.filter(isNews), 'disconnected', reason)
  }

  async function mark(
    devices: readonly Pick<Device, 'id'>[],
    state: DeviceState,
    reason: string | null,
  ): Promise<void> {
    if (devices.length === 0) return
    const ids = devices.map(device => device.id)
    await repository.setState(ids, state, reason, clock.now())
  }

  return {
    /**
     * Takes over the bridge's answer; callers share a run that hasn't begun. A bridge that can't be
     * asked makes the devices disconnected; one that has just started leaves them as they are.
     * @throws GatewayError as bridges do
     */
    reconcile: (identityId: string, platform: string) =>
      mutex.join(keyOf(identityId, platform), () => reconcileOrMark(identityId, platform)),

    /**
     * The bridge reported a login's state by itself; the next reconciliation acts on it.
     * @param loginId null: any of the identity's
     */
    noteLoginState: (identityId: string, platform: string, loginId: string | null, isLoggedOut: boolean) =>
      absences.noteState(keyOf(identityId, platform), loginId, isLoggedOut),

    disconnect,

    /** Notes that the bridge has been asked, so that the list needn't. */
    noteProbed(identityId: string, platform: string): void {
      const key = keyOf(identityId, platform)
      probedAt.delete(key)
      probedAt.set(key, clock.steady())
      for (const [other, at] of probedAt) {
        if (clock.steady() - at < FRESH_MS) break
        probedAt.delete(other)
      }
    },

    /** True when that was just now, and nothing has been done with the identity's devices since. */
    isFresh(identityId: string, platform: string): boolean {
      const at = probedAt.get(keyOf(identityId, platform))
      return at !== undefined && clock.steady() - at < FRESH_MS
    },

    /** Does something else with an identity's devices of a platform between reconciliations. */
    alone: <T>(identityId: string, platform: string, work: () => Promise<T>) =>
      mutex.run(keyOf(identityId, platform), () =>
        work().finally(() => probedAt.delete(keyOf(identityId, platform))),
      ),

    /** Marks every device of the platform as disconnected, those logged out excepted. */
    async disconnectAll(platform: string, reason: string): Promise<void> {
      outages.set(platform, outagesOf(platform) + 1)
      await mark(await repository.seeminglyReachable(platform), 'disconnected', reason)
    },

    /** Marks every device of the platform as logged out: bridge and logins are gone. */
    async logOutAll(platform: string, reason: string): Promise<void> {
      outages.set(platform, outagesOf(platform) + 1)
      const linked = await repository.linkedOn(platform)
      await mark(linked, 'logged_out', reason)
      for (const { id } of linked) signals.emit('device-settled', id)
    },
  }
}

/** Neither logged out nor removed. */
export function isLinked({ state, removedAt }: Device): boolean {
  return state !== 'logged_out' && removedAt === null
}

function snapshotOf(login: BridgeLogin, trouble: string | null): LoginSnapshot {
  const phone = login.phone === null ? null : phoneDigits(login.phone)
  const reported = reportedState(login)
  // Without its Matrix account a device neither sends nor receives, however well the bridge is.
  const hasTrouble = trouble !== null && reported.state !== 'logged_out'
  return {
    loginId: login.id,
    deviceId: phone ?? login.id,
    phone,
    name: login.name,
    ...(login.restrictedUntil === undefined ? {} : { restrictedUntil: login.restrictedUntil }),
    ...(hasTrouble ? { state: 'error', reason: trouble } : reported),
  }
}
