/**
 * Serves bridges and an external homeserver, and helps them to find us. Clients have no use for
 * what is served here, so it has a port of its own and needs no rules in a proxy.
 */
import { messageOf } from '../domain/errors.ts'
import type { Visitor } from '../domain/signals.ts'
import type { Http } from '../http/http.ts'
import { listenError } from '../http/listen-error.ts'
import type { RunningServer } from '../http/server.ts'
import { reachableHost } from '../lib/hosts.ts'
import { readdressBridge } from '../modules/bridges-attached/bridge-urls.ts'
import type { AttachedBridge } from '../modules/bridges-attached/bridges-attached.ts'
import { createArrivals } from '../modules/bridges-attached/repository.ts'
import type { BridgesInUse } from './bridges-in-use.ts'
import type { AppContext } from './context.ts'
import type { Visitors } from './visitors.ts'

export interface BridgeServiceParts {
  visitors: Pick<Visitors, 'expect'>
  inUse: BridgesInUse
  /** True when an external homeserver pushes to us. */
  isPushed: boolean
  http: Pick<Http, 'listenForBridges'>
}

export type BridgeService = ReturnType<typeof createBridgeService>

export function createBridgeService(
  { config, db, signals, logger }: AppContext,
  { visitors, inUse, isPushed, http }: BridgeServiceParts,
) {
  const arrivals = createArrivals(db)
  const at = config.bridgeListener
  let running: { server: RunningServer; url: string } | null = null
  let urlBefore: string | null = null
  signals.on('at-main-port', warnOf)

  function open(): string {
    try {
      const server = http.listenForBridges(at)
      const url = `http://${reachableHost(at.host)}:${server.port}`
      running = { server, url }
      logger.info({ url }, 'bridges and homeservers are served')
      return url
    } catch (error) {
      throw listenError(error, at, { host: 'BRIDGE_HOST', port: 'BRIDGE_PORT' }) ?? error
    }
  }

  function direct(bridge: AttachedBridge, hasComeToMainPort = false): void {
    if (!running) return
    const { platform } = bridge
    const { url } = running
    try {
      if (readdressBridge(bridge, { config, url, urlBefore, hasComeToMainPort }))
        logger.info(
          { platform, url },
          'the configuration of a bridge was changed: it leads to BRIDGE_PORT now',
        )
    } catch (error) {
      const reason = messageOf(error)
      logger.warn(
        { platform, reason },
        'the configuration of a bridge could not be changed to lead to BRIDGE_PORT',
      )
    }
  }

  function warnOf(visitor: Visitor): void {
    const last = 'PORT, where this version serves it for the last time'
    if (visitor === 'homeserver') {
      logger.warn(
        `the homeserver comes to ${last}: have url in our registration there lead to BRIDGE_PORT, and restart it`,
      )
      return
    }
    const bridge = inUse.get(visitor.platform)
    if (bridge) direct(bridge, true)
    logger.warn(
      visitor,
      `a bridge comes to ${last}: see that homeserver.address and homeserver.status_endpoint in its configuration lead to BRIDGE_PORT, and restart it`,
    )
  }

  return {
    /**
     * Opens the listener when there is somebody to serve.
     * @throws StartError when it can't listen there
     */
    async serve(bridges: readonly AttachedBridge[]): Promise<void> {
      const expected = bridges.map(({ platform }): Visitor => ({ platform }))
      if (isPushed) expected.push('homeserver')
      await visitors.expect(expected)
      if (expected.length > 0 && !running) {
        urlBefore = await arrivals.lastUrl()
        await arrivals.noteUrl(open())
      }
    },
    /** Makes the bridge's configuration lead to the listener, if we wrote it. */
    direct: (bridge: AttachedBridge) => direct(bridge),
    /** How bridges on this machine reach the listener; null while it is closed. */
    url: (): string | null => running?.url ?? null,
    /**
     * Stops once requests have finished, or after `graceMs`.
     * @returns true when all have finished
     */
    async stop(graceMs: number): Promise<boolean> {
      const closing = running?.server
      running = null
      return (await closing?.stop(graceMs)) ?? true
    },
  }
}
