/** A raw socket, with or without TLS, for requests that no HTTP client would make. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface RawClient extends Disposable {
  write(text: string | Buffer): void
  /** Everything received so far. */
  heard: string
  closed: boolean
  /** Statuses of the answers so far. */
  statuses(): number[]
}

/** @param url only its scheme, host and port are used */
export function openRaw(url: string): Promise<RawClient> {
  const { protocol, hostname, port } = new URL(url)
  const to = { host: hostname, port: Number(port) }
  return new Promise((resolve, reject) => {
    const socket =
      protocol === 'https:'
        ? connectTls({ ...to, rejectUnauthorized: false }, () => resolve(client))
        : connect(to, () => resolve(client))
    const client: RawClient = {
      write: text => void socket.write(text),
      heard: '',
      closed: false,
      statuses: () => [...client.heard.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status)),
      [Symbol.dispose]: () => void socket.destroy(),
    }
    socket.on('data', data => {
      // latin1 makes each byte a character, so that WebSocket frames can be read, too.
      client.heard += data.toString('latin1')
    })
    socket.on('close', () => {
      client.closed = true
    })
    // After the connect, this catches writes to a connection that the server has closed.
    socket.on('error', reject)
  })
}
