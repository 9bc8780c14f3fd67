/** The addresses by which a bridge reaches the homeserver and the gateway. */
import {
  chownSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { readdressConfig } from '../../bridges/setup/config-addresses.ts'
import { GatewayError } from '../../domain/errors.ts'
import { isEveryInterface, isLoopback, isOneAddress, reachableHost } from '../../lib/hosts.ts'
import type { AttachedBridge } from './bridges-attached.ts'

/** Settings that say where we are. */
export interface Whereabouts {
  http: { port: number; publicUrl: string | undefined }
  bridgeListener: { host: string; port: number }
  matrix: { homeserverUrl: string | undefined }
}

export interface BridgeSideAddresses {
  homeserver: string
  /** Null when it can't be told: then the bridge reports nothing, and is asked instead. */
  gateway: string | null
}

/**
 * @param bridgeUrl how we reach the bridge: on this machine or elsewhere
 * @throws GatewayError bad_request naming the option that has to say it
 */
export function addressesForBridge(
  config: Whereabouts,
  bridgeUrl: string,
  given: { homeserverUrl?: string | undefined; gatewayUrl?: string | undefined },
): BridgeSideAddresses {
  const ours = given.gatewayUrl ?? ownAddress(config, isLoopback(new URL(bridgeUrl).hostname))
  const external = config.matrix.homeserverUrl
  if (external !== undefined) return { homeserver: given.homeserverUrl ?? external, gateway: ours }
  const address = given.homeserverUrl ?? ours
  if (address === null) {
    throw new GatewayError(
      'bad_request',
      "--homeserver-url: the bridge isn't on this machine: expected the address by which it reaches BRIDGE_PORT of this gateway, such as http://meshgate:8081",
    )
  }
  return { homeserver: address, gateway: given.gatewayUrl ?? address }
}

/** Port 0 is replaced in the configuration when the gateway listens. */
function ownAddress({ bridgeListener: { host, port } }: Whereabouts, isLocal: boolean): string | null {
  return isLocal || isOneAddress(host) ? `http://${reachableHost(host)}:${port}` : null
}

/**
 * Finds addresses by which the bridge can't reach us.
 * @returns what to do about it; null when nothing seems wrong
 */
export function addressTrouble(
  { http, bridgeListener, matrix }: Whereabouts,
  bridgeUrl: string,
  given: { homeserverUrl?: string | undefined; gatewayUrl?: string | undefined },
): string | null {
  const ours = [matrix.homeserverUrl === undefined ? given.homeserverUrl : undefined, given.gatewayUrl]
  const { host, port } = bridgeListener
  const misled = ours.find(url => url !== undefined && http.port !== port && portOf(url) === http.port)
  if (misled !== undefined) {
    return `See that ${misled} leads to BRIDGE_PORT (${port}), where bridges are served: ${http.port} is PORT, the clients'`
  }
  if (isLoopback(new URL(bridgeUrl).hostname) || !(isLoopback(host) || host === '::1')) return null
  return `Set BRIDGE_HOST to an address that the bridge reaches (0.0.0.0 for all of this machine's): ${host} is this machine alone`
}

export function portOf(url: string): number {
  const { port, protocol } = new URL(url)
  return Number(port || (protocol === 'https:' ? 443 : 80))
}

export interface ListenerAddress {
  config: Whereabouts
  /** How this machine reaches the listener for bridges now. */
  url: string
  /** How it did before, if it was open before. */
  urlBefore: string | null
  /** So its configuration leads there, by whatever name. */
  hasComeToMainPort: boolean
}

/**
 * Keeps a configuration that we wrote leading to the listener for bridges: versions without that
 * listener wrote PORT; BRIDGE_PORT may have changed, or be 0 (any free port).
 * @returns whether the configuration was changed; false also when it isn't ours, or leads elsewhere
 * @throws Error when it can't be read or written
 */
export function readdressBridge(
  bridge: Pick<AttachedBridge, 'dir' | 'url' | 'asToken'>,
  listener: ListenerAddress,
): boolean {
  const file = join(bridge.dir, 'config.yaml')
  if (!existsSync(file)) return false
  const before = readFileSync(file, 'utf8')
  const after = readdressConfig(before, bridge.asToken, address => addressNow(address, bridge.url, listener))
  if (after === null || after === before) return false
  replaceFile(realpathSync(file), after)
  return true
}

/** Replaces it at once, as the bridge may be reading it, and keeps its owner. */
function replaceFile(file: string, text: string): void {
  const { mode, uid, gid } = statSync(file)
  const draft = `${file}.new`
  try {
    writeFileSync(draft, text, { mode: mode & 0o777 })
    chownSync(draft, uid, gid)
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** @returns null when the address is right, or isn't known to lead to us */
function addressNow(address: string, bridgeUrl: string, listener: ListenerAddress): string | null {
  if (!URL.canParse(address)) return null
  const { protocol, hostname, port, origin, pathname } = new URL(address)
  const path = pathname === '/' ? '' : pathname
  const { config, url, urlBefore, hasComeToMainPort } = listener
  if (origin === new URL(url).origin) return null
  const isMainPort = protocol === 'http:' && (port || '80') === String(config.http.port)
  if (protocol === 'http:' && isLoopback(hostname)) {
    const isOurs = isMainPort || port === '0' || origin === originOf(urlBefore)
    return isOurs ? `${url}${path}` : null
  }
  // With TLS, a bridge on this machine used the public address.
  if (origin === originOf(config.http.publicUrl) && isLoopback(new URL(bridgeUrl).hostname))
    return `${url}${path}`
  // A bridge in a container uses a name of ours, and reaches every port that listens for all.
  const isReachable = hasComeToMainPort && isEveryInterface(config.bridgeListener.host)
  return isMainPort && isReachable ? `http://${hostname}:${new URL(url).port || '80'}${path}` : null
}

function originOf(url: string | null | undefined): string | null {
  return url ? new URL(url).origin : null
}
