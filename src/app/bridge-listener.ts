/**
 * The listener for bridges and homeservers. Clients have no use for what it serves, so it has a
 * port of its own and needs no rules in a proxy. It opens when there is somebody to serve.
 */
import type { Config } from '../config/index.ts'
import { listenError } from '../http/listen-error.ts'
import type { RunningServer } from '../http/server.ts'
import { reachableHost } from '../lib/hosts.ts'
import type { Logger } from '../lib/logger.ts'

export interface BridgeListener {
  /**
   * Opens it, unless it is open.
   * @returns how it is reached from this machine
   * @throws StartError naming BRIDGE_PORT or BRIDGE_HOST when it can't listen there
   */
  open(): string
  /**
   * Closes it once running requests have finished, or after `graceMs`.
   * @returns whether all of them have finished
   */
  close(graceMs: number): Promise<boolean>
  /** How it is reached from this machine; null while it is closed. */
  url(): string | null
}

export function createBridgeListener(options: {
  at: Config['bridgeListener']
  listen(at: Config['bridgeListener']): RunningServer
  logger: Logger
}): BridgeListener {
  const { at, listen, logger } = options
  let running: { server: RunningServer; url: string } | null = null

  return {
    open() {
      if (running) return running.url
      let server: RunningServer
      try {
        server = listen(at)
      } catch (error) {
        throw listenError(error, at, { host: 'BRIDGE_HOST', port: 'BRIDGE_PORT' }) ?? error
      }
      const url = `http://${reachableHost(at.host)}:${server.port}`
      running = { server, url }
      logger.info({ url }, 'bridges and homeservers are served')
      return url
    },
    async close(graceMs) {
      const closing = running?.server
      running = null
      return (await closing?.stop(graceMs)) ?? true
    },
    url: () => running?.url ?? null,
  }
}
