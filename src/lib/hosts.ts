/** Host names and addresses in URLs and in HOST. */
import { isIP } from 'node:net'

/** True for an address or name to listen on; digits and dots must form an address. */
export function isListenHost(text: string): boolean {
  return isIP(text) !== 0 || (/^[a-z0-9](?:[\w.-]*[a-z0-9])?\.?$/i.test(text) && !/^[\d.]+$/.test(text))
}

/** Host at which this machine reaches `host`: the loopback for an every-interface address. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

/** True if listening on `host` means every interface. */
export function isEveryInterface(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** True if `host` is one address by which other machines may reach this one. */
export function isOneAddress(host: string): boolean {
  return !isEveryInterface(host) && !isLoopback(host) && host !== '::1'
}

/** @param hostname as in a URL, IPv6 in brackets */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}

/** The form `isBaseUrl` accepts, for error messages. */
export const BASE_URL_PHRASE = 'an http:// or https:// address, without user, query and fragment'

/** True if paths can be appended and anybody may see the URL: it carries no password. */
export function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#]/.test(text)) return false
  const { protocol, username, password, port } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === '' && port !== '0'
}
