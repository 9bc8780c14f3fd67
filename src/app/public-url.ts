/** The address at which clients reach the gateway. */
import type { Config } from '../config/index.ts'

export interface PublicUrl {
  /** Without a slash at the end. */
  current(): string
  /** The server listens on this port, which may have been left to the system. */
  listensOn(port: number): void
}

/** PUBLIC_URL, or how a browser on this machine reaches us. */
export function createPublicUrl({ http }: Pick<Config, 'http'>): PublicUrl {
  let port = http.port
  return {
    current: () => http.publicUrl ?? localUrl(http, port),
    listensOn(actual) {
      port = actual
    },
  }
}

function localUrl({ host, tls }: Config['http'], port: number): string {
  const isEverywhere = ['0.0.0.0', '::', '127.0.0.1', '::1', 'localhost'].includes(host)
  const name = isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `${tls ? 'https' : 'http'}://${name}:${port}`
}
