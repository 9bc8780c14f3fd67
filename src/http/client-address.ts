/** Who sends a request: the socket's other end, or whom a proxy that we trust names. */
import { isIP } from 'node:net'
import { createNetworkMatcher, withoutMapping } from '../lib/ip-networks.ts'

/**
 * @param trustedProxies addresses and networks whose X-Forwarded-For is believed
 * @returns a function of the socket's address and the header. Each proxy appends whom it heard, so
 * the last address that is no proxy's is the client's
 */
export function createClientAddress(
  trustedProxies: readonly string[],
): (socketAddress: string, forwardedFor: string | null) => string {
  const isTrusted = createNetworkMatcher(trustedProxies)
  return (socketAddress, forwardedFor) => {
    let address = withoutMapping(socketAddress)
    const named = forwardedFor === null ? [] : forwardedFor.split(',')
    while (isTrusted(address)) {
      const before = addressIn(named.pop() ?? '')
      if (before === undefined) break
      address = before
    }
    return address
  }
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(text: string): string | undefined {
  const trimmed = text.trim()
  const bare = /^\[(.+)\](:\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  return isIP(bare) === 0 ? undefined : withoutMapping(bare)
}
