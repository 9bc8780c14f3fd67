/** Serves bridges and an external homeserver on their own listener, and helps them to find it. */
import type { Config } from '../config/index.ts'
import { messageOf } from '../domain/errors.ts'
import type { Mount } from '../http/mounts.ts'
import type { RunningServer } from '../http/server.ts'
import type { Logger } from '../lib/logger.ts'
import type { Arrivals, Visitor } from '../modules/attached-bridges/arrivals-repository.ts'
import type { AttachedBridge } from '../modules/attached-bridges/attached-bridges.ts'
import { readdressBridge } from '../modules/attached-bridges/readdress.ts'
import { createBridgeListener } from './bridge-listener.ts'
import { createVisitors } from './visitors.ts'

export interface BridgeService {
  /** For the clients' port. */
  mainMounts: Mount[]
  bridgeMounts: Mount[]
  /**
   * Opens the listener when there is somebody to serve.
   * @throws StartError when it can't listen there
   */
  serve(bridges: readonly AttachedBridge[]): Promise<void>
  /** Makes the bridge's configuration lead to the listener, if we wrote it. */
  direct(bridge: AttachedBridge): void
  /** How bridges on this machine reach the listener; null while it is closed. */
  url(): string | null
  stop(graceMs: number): Promise<boolean>
}

export function createBridgeService(options: {
  config: Config
  arrivals: Arrivals
  /** The endpoints that they call. */
  mounts: readonly Mount[]
  /** Token of the external homeserver that pushes to us; undefined: none does. */
  hsToken: string | undefined
  attachedTo(platform: string): AttachedBridge | undefined
  /** The platform of the attached bridge that has this token. */
  platformOf(asToken: string): string | undefined
  listen(at: Config['bridgeListener']): RunningServer
  logger: Logger
}): BridgeService {
  const { config, arrivals, mounts, hsToken, attachedTo, platformOf, logger } = options
  const listener = createBridgeListener({ at: config.bridgeListener, listen: options.listen, logger })
  let urlBefore: string | null = null
  const visitors = createVisitors({
    arrivals,
    ownerOf(token) {
      if (token === hsToken) return 'homeserver'
      const platform = platformOf(token)
      return platform === undefined ? undefined : { platform }
    },
    onAtMainPort,
    logger,
  })

  function direct(bridge: AttachedBridge, hasComeToMainPort = false): void {
    const url = listener.url()
    if (url === null) return
    const { platform } = bridge
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

  function onAtMainPort(visitor: Visitor): void {
    const last = 'PORT, where this version serves it for the last time'
    if (visitor === 'homeserver') {
      logger.warn(
        `the homeserver comes to ${last}: have url in our registration there lead to BRIDGE_PORT, and restart it`,
      )
      return
    }
    const bridge = attachedTo(visitor.platform)
    if (bridge) direct(bridge, true)
    logger.warn(
      visitor,
      `a bridge comes to ${last}: see that homeserver.address and homeserver.status_endpoint in its configuration lead to BRIDGE_PORT, and restart it`,
    )
  }

  return {
    mainMounts: visitors.atMainPort(mounts),
    bridgeMounts: visitors.atBridgePort(mounts),
    async serve(bridges) {
      const expected = bridges.map(({ platform }): Visitor => ({ platform }))
      if (hsToken !== undefined) expected.push('homeserver')
      await visitors.expect(expected)
      if (expected.length > 0 && listener.url() === null) {
        urlBefore = await arrivals.lastUrl()
        await arrivals.noteUrl(listener.open())
      }
    },
    direct: bridge => direct(bridge),
    url: listener.url,
    stop: listener.close,
  }
}
