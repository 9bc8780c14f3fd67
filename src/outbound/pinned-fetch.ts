/** `fetch` to given addresses for the URL's host. */
import { codeOf } from '../lib/error-codes.ts'
import { EndpointRefused } from './endpoint-guard.ts'

/** No connection was made, so the next address may be tried. */
const NOT_CONNECTED = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL']
const MAX_ADDRESSES = 4

/** A plain object of headers, as copying `Headers` costs more. */
type PinnedRequest = Omit<BunFetchRequestInit, 'headers'> & { headers?: Record<string, string> }

/**
 * @param addresses tried in order until one connects; null: wherever the name leads
 * @returns as `fetch`: the Host header, SNI and certificate check use the URL's host, and a
 * connection is reused only for that host
 */
export async function fetchAt(
  addresses: readonly string[] | null,
  url: string,
  init: PinnedRequest,
): Promise<Response> {
  if (addresses === null) return fetch(url, init)
  let failure: unknown = new EndpointRefused(`${new URL(url).hostname} has no address`)
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    try {
      return await fetchFrom(address, url, init)
    } catch (error) {
      failure = error
      if (!NOT_CONNECTED.includes(codeOf(error))) break
    }
  }
  throw failure
}

function fetchFrom(address: string, url: string, init: PinnedRequest): Promise<Response> {
  const pinned = new URL(url)
  const { host, hostname } = pinned
  pinned.hostname = address.includes(':') ? `[${address}]` : address
  const isName = pinned.hostname !== hostname
  return fetch(pinned, {
    ...init,
    headers: { ...init.headers, host },
    ...(isName && pinned.protocol === 'https:' ? { tls: { ...init.tls, serverName: hostname } } : {}),
  })
}
