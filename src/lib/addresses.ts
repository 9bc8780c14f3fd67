/** IP addresses: which network an address is in, and which addresses count as one client. */
import { BlockList, isIP, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The form `isNetwork` accepts, for error messages. */
export const NETWORK_PHRASE = 'addresses or networks such as 10.0.0.0/8'

/** True for an IP address or a network in CIDR notation (RFC 4632, RFC 4291 section 2.3). */
export function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more !== undefined) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** @param networks each accepted by `isNetwork`. @returns a test whether an address is in one */
export function createNetworkMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return address => isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** Turns `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2) into the IPv4 address it stands for. */
export function withoutMapping(address: string): string {
  return isIPv6(address) ? ipaddr.process(address).toString() : address
}

/** Key for one client: an IPv4 address, or an IPv6 /64, all of which one host may use. */
export function clientNetwork(address: string): string {
  const plain = withoutMapping(address)
  if (!isIPv6(plain)) return plain
  const { parts } = ipaddr.IPv6.parse(plain)
  return parts
    .slice(0, 4)
    .map(part => part.toString(16))
    .join(':')
}
