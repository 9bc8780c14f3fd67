/**
 * Checks in development that the Host header names this gateway. The sandbox and the metrics are
 * open to this machine then, and a page in a browser here can have its own name lead to 127.0.0.1
 * (DNS rebinding).
 */
import { isIP } from 'node:net'
import type { Config } from '../config/index.ts'
import { HttpError } from './error-answers.ts'

/** RFC 9110 section 7.2: a host, and perhaps a port. */
const HOST = /^(\[[^\]]*\]|[^\s:/?#@,\\]+)(:\d*)?$/
/** Characters of a wrong header that the error shows. */
const MAX_SHOWN = 100

/** @returns null where the header is right or missing: a browser always sends one */
export function createHostCheck({ mode, http }: Pick<Config, 'mode' | 'http'>) {
  const origins = [http.publicUrl, ...http.corsOrigins].filter(origin => origin !== undefined)
  const ours = new Set(['localhost', nameIn(http.host), ...origins.map(nameOf)])
  const isOurs = (header: string): boolean => {
    const name = nameIn(header)
    return name !== null && (ours.has(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0)
  }
  let lastRight: string | undefined

  return (request: Request): HttpError | null => {
    if (mode !== 'development') return null
    const header = request.headers.get('host')
    if (header === null || header === lastRight) return null
    if (!isOurs(header)) return misdirected(header)
    lastRight = header
    return null
  }
}

function misdirected(header: string): HttpError {
  return new HttpError(
    'misdirected_request',
    `Host: "${header.slice(0, MAX_SHOWN)}" isn't a name of this gateway. If clients reach it by that name, set PUBLIC_URL to the address that they use`,
  )
}

/** The header's host as URLs have it: lower case, IPv4 as four numbers, IPv6 in brackets. */
function nameIn(header: string): string | null {
  const host = HOST.exec(header)?.[1]
  return host === undefined ? null : nameOf(`http://${host}`)
}

function nameOf(url: string): string | null {
  if (!URL.canParse(url)) return null
  const { hostname } = new URL(url)
  // A dot at the end means that no domain is to be put behind it.
  return hostname.replace(/\.$/, '')
}
