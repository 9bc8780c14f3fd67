/**
 * Keeps the gateway in step with the attached bridges, without a restart: it notices within a
 * second what `meshgate bridge add|remove` changed in the database, and tells the embedded
 * homeserver.
 */
import { join } from 'node:path'
import type { BridgeConfig } from '../bridges/bridge.ts'
import type { BridgeSet } from '../bridges/bridges.ts'
import type { BridgeProcesses } from '../bridges/processes.ts'
import { forgetSavedState } from '../bridges/setup/saved-state.ts'
import { StartError } from '../domain/errors.ts'
import type { Homeserver } from '../homeserver/index.ts'
import { TAKEN_AWAY } from '../modules/bridges-attached/attach.ts'
import type { AttachedBridge, AttachedBridges } from '../modules/bridges-attached/bridges-attached.ts'
import type { LinkedDevices } from '../modules/devices/devices.ts'
import { identityNamespace } from '../modules/tenants/identities.ts'
import { every } from '../runtime/worker.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { BridgeService } from './bridge-service.ts'
import { type PendingUpdate, tryUpdate } from './bridge-updates.ts'
import type { BridgesInUse } from './bridges-in-use.ts'
import type { AppContext } from './context.ts'
import { removeSimulatedDevices } from './sandbox-leftovers.ts'

export interface BridgeAttachmentParts {
  attached: AttachedBridges
  /** Kept up to date for those who ask which bridges there are. */
  inUse: BridgesInUse
  bridges: BridgeSet
  processes: BridgeProcesses
  homeserver: Homeserver | undefined
  sandbox: Sandbox | undefined
  service: Pick<BridgeService, 'serve' | 'direct'>
  devices: Pick<LinkedDevices, 'logOutAll' | 'discard'>
}

/** How often the database is asked, in milliseconds. */
const INTERVAL_MS = 1_000

export function createBridgeAttachment(
  context: Pick<AppContext, 'config' | 'secrets' | 'db' | 'clock' | 'logger'>,
  parts: BridgeAttachmentParts,
) {
  const { config, secrets, db, clock, logger } = context
  const { attached, inUse, bridges, processes, homeserver, sandbox, service, devices } = parts
  const identities = identityNamespace(config.matrix.serverName)
  /** Updates under way, by platform. */
  const trials = new Map<string, AbortController>()

  async function takeUp(bridge: AttachedBridge): Promise<void> {
    await sandbox?.retire(bridge.platform)
    await homeserver?.removeAppservice(sandboxId(bridge.platform))
    const before = inUse.get(bridge.platform)
    if (before && before.registrationId !== bridge.registrationId)
      await homeserver?.removeAppservice(before.registrationId)
    // First: the homeserver asks it when the bridge may be sent something.
    bridges.set(configOf(bridge))
    await removeSimulatedDevices(bridge, db, devices, logger)
    await homeserver?.registerAppservice({
      id: bridge.registrationId,
      url: bridge.url,
      asToken: bridge.asToken,
      hsToken: bridge.hsToken,
      senderLocalpart: bridge.senderLocalpart,
      // The bridge acts as our users: people's own messages from the phone come from these.
      namespaces: { ...bridge.namespaces, puppets: [{ regex: identities, exclusive: false }] },
      receiveEphemeral: true,
      untilReady: signal => bridges.untilReady(bridge.platform, signal),
    })
    inUse.put(bridge)
    service.direct(bridge)
    const { baseUrl: url } = configOf(bridge)
    const command = inUse.named(bridge.platform)?.command ?? bridge.command
    trials.get(bridge.platform)?.abort()
    if (command && bridge.update?.failure === null) return beginTrial(bridge, bridge.update, url)
    forgetSavedState(bridge.dir)
    if (!command) return processes.stop(bridge.platform)
    processes.run(bridge.platform, { command, dir: bridge.dir, url, version: bridge.updatedAt })
    bridges.noteStarted(bridge.platform)
  }

  /** Goes on beside the other bridges; ends when the gateway does, or the bridge's row changes. */
  function beginTrial(bridge: AttachedBridge, update: PendingUpdate, url: string): void {
    const trial = new AbortController()
    trials.set(bridge.platform, trial)
    const { signal } = trial
    void tryUpdate(bridge, update, { url, signal }, { attached, processes, bridges, clock, logger })
      .catch(error => logger.error({ err: error, platform: bridge.platform }, 'an update has failed'))
      .finally(() => trial.abort())
  }

  /** With an external homeserver the settings may go on to name its platform. */
  async function letGo(bridge: AttachedBridge): Promise<void> {
    const { platform } = bridge
    trials.get(platform)?.abort()
    inUse.remove(platform)
    const remaining = homeserver ? undefined : inUse.named(platform)
    if (remaining) bridges.set(configOf({ ...bridge, url: remaining.url }))
    else bridges.remove(platform)
    await processes.stop(platform)
    await homeserver?.removeAppservice(bridge.registrationId)
    if (!remaining) await devices.logOutAll(platform, TAKEN_AWAY)
  }

  /** Where the settings name the platform too, they say where its bridge is and what opens it. */
  function configOf(bridge: AttachedBridge): BridgeConfig {
    const { platform, url, secret } = bridge
    return {
      platform,
      baseUrl: inUse.named(platform)?.url ?? url,
      bot: inUse.named(platform)?.bot ?? userId(bridge.botLocalpart),
      users: ownUsers(bridge),
      sharedSecret: secrets.bridges.get(platform) ?? secret ?? '',
    }
  }

  const userId = (localpart: string) => `@${localpart}:${config.matrix.serverName}`

  /**
   * Leaves out our users: a registration may name them for double puppeting, but the bridge doesn't
   * own them.
   */
  function ownUsers({ namespaces, botLocalpart, senderLocalpart }: AttachedBridge): string[] {
    const bots = [botLocalpart, senderLocalpart].map(localpart => RegExp.escape(userId(localpart)))
    return [...namespaces.users.map(({ regex }) => regex).filter(regex => regex !== identities), ...bots]
  }

  async function follow(): Promise<void> {
    const now = await attached.list()
    for (const bridge of inUse.all()) {
      if (now.some(({ platform }) => platform === bridge.platform)) continue
      await letGo(bridge)
      logger.info({ platform: bridge.platform }, 'a bridge was taken away')
    }
    await service.serve(now)
    for (const bridge of now) {
      if (inUse.get(bridge.platform)?.updatedAt === bridge.updatedAt) continue
      await takeUp(bridge)
      logger.info({ platform: bridge.platform, url: bridge.url }, 'a bridge was attached')
    }
  }

  /** Removes appservices of an earlier run: bridges taken away since, a sandbox that is off. */
  async function dismissOthers(): Promise<void> {
    if (!homeserver) return
    const ours = new Set([
      ...inUse.all().map(bridge => bridge.registrationId),
      ...(sandbox?.bridges ?? []).map(bridge => bridge.registration.id),
    ])
    for (const id of homeserver.appserviceIds()) {
      if (id !== GATEWAY_APPSERVICE_ID && !ours.has(id)) await homeserver.removeAppservice(id)
    }
  }

  function refuseUnattached(): void {
    if (!homeserver) return
    const missing = config.bridges.find(({ platform }) => !inUse.get(platform))
    if (!missing) return
    throw new StartError(
      `BRIDGES: the embedded homeserver doesn't know the ${missing.platform} bridge: attach it first with \`meshgate bridge add ${missing.platform} --url ${missing.url}\``,
    )
  }

  /** Runs programs of bridges that only the settings know, as with an external homeserver. */
  function runUnattached(): void {
    for (const { platform, command, url } of config.bridges) {
      const dir = join(config.data.dir, 'bridges', platform)
      if (command && !inUse.get(platform)) processes.run(platform, { command, dir, url, version: 0 })
    }
  }

  return {
    /**
     * Takes over what is in the database now.
     * @throws StartError when a bridge of the settings has no place on the embedded homeserver, or
     * BRIDGE_PORT is taken
     */
    async begin(): Promise<void> {
      await follow()
      refuseUnattached()
      runUnattached()
      await dismissOthers()
    },

    worker: every('bridge-attachment', INTERVAL_MS, follow, {
      clock,
      end: async () => {
        for (const trial of trials.values()) trial.abort()
      },
    }),
  }
}

/** Our own application service at the homeserver. */
export const GATEWAY_APPSERVICE_ID = 'meshgate'

const sandboxId = (platform: string): string => `sandbox-${platform}`
