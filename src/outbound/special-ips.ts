/** Addresses closed to URLs of clients: our own, private, cloud metadata, and any not public. */
import ipaddr, { type IPv6 } from 'ipaddr.js'

/** Public in the registry, but answered by the host itself: Azure's metadata and DNS server. */
const METADATA_ADDRESSES = ['168.63.129.16']
/** RFC 4291 section 2.4, IANA registry: all global unicast addresses so far are inside. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')
/** RFC 6052 section 2.1: an IPv4 address in the last 32 bits. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/**
 * @param address IPv4 or IPv6 as the WHATWG URL parser or a resolver writes it, without brackets
 * @returns its kind by IANA's special-purpose registries, in a word or two; null for a public one
 */
export function specialAddress(address: string): string | null {
  if (!ipaddr.isValid(address)) return 'malformed'
  const parsed = ipaddr.parse(plainAddress(address))
  if (parsed.kind() === 'ipv6') return specialIPv6(parsed as IPv6)
  if (METADATA_ADDRESSES.includes(parsed.toString())) return 'metadata'
  return wordsOf(parsed.range())
}

/** One spelling for each address. An IPv6 address that embeds an IPv4 one becomes the latter. */
export function plainAddress(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  const v6 = parsed as IPv6
  return v6.match(NAT64) ? v6.toByteArray().slice(-4).join('.') : v6.toString()
}

function specialIPv6(address: IPv6): string | null {
  const words = wordsOf(address.range())
  return words ?? (address.match(GLOBAL_UNICAST) ? null : 'unassigned')
}

/** Turns `carrierGradeNat` into `carrier grade nat`. */
function wordsOf(range: string): string | null {
  return range === 'unicast' ? null : range.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
}

/** @returns the address in a URL's hostname (as WHATWG URL writes it); null for a name */
export function addressOf(hostname: string): string | null {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return ipaddr.isValid(bare) ? bare : null
}
