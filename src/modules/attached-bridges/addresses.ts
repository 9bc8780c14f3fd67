/** By which address a bridge reaches the homeserver and the gateway. */
import { GatewayError } from '../../domain/errors.ts'
import { isLoopback, reachableHost } from '../../lib/hosts.ts'

/** Of the configuration, what says where we are. */
export interface Whereabouts {
  http: { host: string; port: number; publicUrl: string | undefined; tls: object | undefined }
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
      "--homeserver-url: the bridge isn't on this machine (or PORT is 0, or TLS is on): expected the address by which it reaches this gateway, or PUBLIC_URL in the settings",
    )
  }
  return { homeserver: address, gateway: given.gatewayUrl ?? address }
}

/** On this machine the loopback address, unless TLS is on: the certificate is for the public name. */
function ownAddress({ http }: Whereabouts, isLocal: boolean): string | null {
  if (!isLocal || http.tls) return http.publicUrl ?? null
  return http.port === 0 ? null : `http://${reachableHost(http.host)}:${http.port}`
}
