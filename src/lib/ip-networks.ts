/** IP addresses: which network an address is in, and which addresses count as one client. */
import { BlockList, isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'

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
  if (networks.length === 0) return () => false
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return address => isIP(address) !== 0 && list.check(address, familyOf(address))
}

/** The family of a valid address. Node's `isIPv6` matches a long regular expression. */
function familyOf(address: string): 'ipv6' | 'ipv4' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** Turns `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2) into the IPv4 address it stands for. */
export function withoutMapping(address: string): string {
  return address.includes(':') ? unmapped.memo(address) : address
}

/** Key for one client: an IPv4 address, or an IPv6 /64, all of which one host may use. */
export function clientNetwork(address: string): string {
  const plain = withoutMapping(address)
  return plain.includes(':') ? firstHalves.memo(plain) : plain
}

/** Parsing an IPv6 address costs as much as a query, and a client makes many requests. */
const MAX_REMEMBERED = 1_000
const unmapped = new LRUCache<string, string>({
  max: MAX_REMEMBERED,
  memoMethod: address => ipaddr.process(address).toString(),
})
const firstHalves = new LRUCache<string, string>({
  max: MAX_REMEMBERED,
  memoMethod: address =>
    ipaddr.IPv6.parse(address)
      .parts.slice(0, 4)
      .map(part => part.toString(16))
      .join(':'),
})
