/** By which address a bridge reaches the homeserver and the gateway. */
import { GatewayError } from '../../domain/errors.ts'
import { isLoopback, isOneAddress, reachableHost } from '../../lib/hosts.ts'

/** Of the configuration, what says where we are. */
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

function portOf(url: string): number {
  const { port, protocol } = new URL(url)
  return Number(port || (protocol === 'https:' ? 443 : 80))
}
