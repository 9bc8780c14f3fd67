/** GET requests that may be redirected, as a release page does to where its files are stored. */
import { GatewayError } from '../../domain/errors.ts'
import { streamFromPeer } from '../../lib/peer-request.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = [301, 302, 303, 307, 308]

/**
 * Sends no secrets, so any address may be followed, but never from https:// to http://.
 * @returns the answer, whatever its status, with its body unread
 * @throws GatewayError bridge_error for a redirect that isn't followed; errors of `fetch`
 */
export async function followRedirects(from: string, signal: AbortSignal): Promise<Response> {
  let url = new URL(from)
  for (let followed = 0; ; followed++) {
    const response = await streamFromPeer(url.href, { signal, headers: HEADERS })
    const location = response.headers.get('location')
    if (!REDIRECTS.includes(response.status) || location === null) return response
    await response.body?.cancel()
    const next = URL.parse(location, url.href)
    const isKept = next !== null && (next.protocol === 'https:' || next.protocol === url.protocol)
    if (!isKept || followed === MAX_REDIRECTS) {
      throw new GatewayError(
        'bridge_error',
        isKept
          ? `${from} redirects more than ${MAX_REDIRECTS} times`
          : `${from} redirects to an address that isn't https://`,
      )
    }
    url = next
  }
}

/** GitHub refuses requests without a user agent. */
const HEADERS = { accept: 'application/vnd.github+json, */*', 'user-agent': 'meshgate' }
