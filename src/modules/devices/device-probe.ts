/**
 * Asks the bridges about the devices, all the time: some bridges don't report changes by
 * themselves, and none reports that it is gone. Each bridge has rounds of its own, so a slow one
 * delays no other, and a bounded rate: a few devices are asked about every round, thousands as the
 * rate allows.
 */
import pLimit from 'p-limit'
import { BridgeStarting } from '../../bridges/start-watch.ts'
import { GatewayError, isBridgeAway, messageOf } from '../../domain/errors.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { every, type Worker } from '../../runtime/worker.ts'
import type { DeviceRepository } from './device-repository.ts'
import type { LinkedDevices } from './devices.ts'

export interface DeviceProbeOptions {
  devices: Pick<LinkedDevices, 'reconcile' | 'noteProbed' | 'disconnect' | 'disconnectAll'>
  repository: Pick<DeviceRepository, 'identitiesWith' | 'platforms'>
  bridges: Pick<Bridges, 'platforms'>
  signals: Hears<'bridge-state'>
  clock: Clock
  logger: Logger
}

/** Milliseconds between the starts of rounds: a change is to be known within five seconds. */
const INTERVAL_MS = 2_000
/** Identities asked about in a round, which makes 50 a second. */
const SHARE = 100
/** The same of a bridge that reports changes by itself: its silence alone must be noticed. */
const SHARE_REPORTED = 10
/** How many of them at a time. */
const CONCURRENCY = 8
/** A bridge that takes longer to answer counts as disconnected until it does, in milliseconds. */
const PATIENCE_MS = 5_000

export function createDeviceProbe(options: DeviceProbeOptions): Worker {
  const { devices, repository, bridges, signals, clock, logger } = options
  /** Rounds under way, by platform. */
  const rounds = new SingleFlight()
  /** The last identity that was asked about, by platform. */
  const positions = new Map<string, string>()

  /** Platforms whose bridge has reported a state. */
  const reporting = new Set<string>()
  signals.on('bridge-state', platform => reporting.add(platform))

  /** The next identities in turn, from the first one again after the last. */
  async function nextShare(platform: string): Promise<string[]> {
    const size = reporting.has(platform) ? SHARE_REPORTED : SHARE
    const position = positions.get(platform) ?? ''
    const behind = await repository.identitiesWith(platform, position, size)
    const before =
      position === '' || behind.length === size
        ? []
        : await repository.identitiesWith(platform, '', size - behind.length)
    const share = [...new Set([...behind, ...before])]
    const isEverybody = share.length < size
    positions.set(platform, isEverybody ? '' : (share.at(-1) ?? ''))
    return share
  }

  /** @returns why the bridge is out of reach, null when it answers */
  async function probe(platform: string, identityId: string, signal: AbortSignal): Promise<string | null> {
    const over = new AbortController()
    const answer = devices.reconcile(identityId, platform).then(() => null, outageOf)
    void answer.then(() => devices.noteProbed(identityId, platform)).catch(() => undefined)
    const silence = untilSilent(AbortSignal.any([signal, over.signal]))
    const outage = await Promise.race([answer, silence]).finally(() => over.abort())
    if (outage !== undefined) return outage
    answer.catch(error => logger.debug({ platform, err: error }, 'a late answer of a bridge was no good'))
    if (signal.aborted) return null
    const reason = `the ${platform} bridge didn't answer within ${PATIENCE_MS / 1000} s`
    await devices.disconnect(identityId, platform, reason)
    return reason
  }

  /** Waits in two halves: after a suspended machine wakes, the bridge still has half its time. */
  async function untilSilent(signal: AbortSignal): Promise<undefined> {
    for (let half = 0; half < 2; half++) await clock.sleep(PATIENCE_MS / 2, signal)
  }

  async function round(platform: string, signal: AbortSignal): Promise<void> {
    const share = await nextShare(platform)
    const asked = async (identityId = share.shift()) =>
      identityId === undefined ? null : probe(platform, identityId, signal)
    const outage = await asked()
    // A second one shows if the bridge is away or that identity has trouble.
    const isAlone = share.length === 0
    if (outage !== null && (isAlone || (await asked()) !== null)) {
      await devices.disconnectAll(platform, outage)
      return
    }
    await pLimit(CONCURRENCY).map(share, async identityId => {
      if (!signal.aborted) await probe(platform, identityId, signal)
    })
  }

  function startRound(platform: string, signal: AbortSignal): void {
    void rounds.run(platform, () =>
      round(platform, signal).catch(error =>
        logger.error({ platform, err: error }, 'the devices of a platform could not be probed'),
      ),
    )
  }

  /** Devices whose bridge was taken away have nobody to ask. */
  async function markThoseWithoutBridge(): Promise<void> {
    for (const platform of await repository.platforms()) {
      if (!bridges.platforms.includes(platform))
        await devices.disconnectAll(platform, `no bridge is configured for ${platform}`)
    }
  }

  async function tick(signal: AbortSignal): Promise<void> {
    await markThoseWithoutBridge()
    for (const platform of bridges.platforms) startRound(platform, signal)
  }

  return every('device-probe', INTERVAL_MS, tick, { clock, end: () => rounds.settled() })
}

/**
 * @returns why the bridge is out of reach; null when there is nothing wrong with it as a whole
 * @throws failures that aren't the bridge's
 */
function outageOf(failure: unknown): string | null {
  if (!(failure instanceof GatewayError)) throw failure
  if (failure instanceof BridgeStarting) return null
  return isBridgeAway(failure) ? messageOf(failure) : null
}
