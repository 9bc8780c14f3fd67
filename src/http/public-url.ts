/** The address that clients reach the gateway by. */
import { GatewayError } from '../domain/errors.ts'

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/

/**
 * Returns PUBLIC_URL if it is set, else what the proxy in front says (X-Forwarded-Proto,
 * X-Forwarded-Host), else the request's own.
 * @returns an http or https URL without a trailing slash
 * @throws GatewayError bad_request when the request names no host
 */
export function publicUrlOf(request: Request, configured: string | undefined): string {
  if (configured !== undefined) return configured
  if (!URL.canParse(request.url)) {
    throw new GatewayError('bad_request', 'Host: expected the name of the host')
  }
  const own = new URL(request.url)
  const protocol = firstOf(request.headers.get('x-forwarded-proto'))?.toLowerCase()
  const host = firstOf(request.headers.get('x-forwarded-host'))
  return `${schemeOf(protocol) ?? schemeOf(own.protocol.slice(0, -1))}://${host && HOST.test(host) ? host : own.host}`
}

/** The same address for WebSockets. */
export function webSocketUrlOf(url: string): string {
  return url.replace(/^http/i, 'ws')
}

/** Each proxy appends; the first value is what the client used. */
function firstOf(header: string | null): string | undefined {
  return header?.split(',')[0]?.trim()
}

function schemeOf(protocol: string | undefined): 'http' | 'https' | undefined {
  if (protocol === 'https' || protocol === 'wss') return 'https'
  return protocol === 'http' || protocol === 'ws' ? 'http' : undefined
}
