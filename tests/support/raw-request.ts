/** Sends a request byte for byte, for paths and headers that no HTTP client would send. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface RawAnswer {
  /** 0 when the server closed the connection without an answer. */
  status: number
  text: string
}

/**
 * @param url only its scheme, host and port are used
 * @param target the text between method and version
 * @param headers whole lines; by default a Host
 */
export function rawRequest(
  url: string,
  target: string,
  { method = 'GET', headers = ['Host: localhost'], version = '1.1' } = {},
): Promise<RawAnswer> {
  const { protocol, hostname, port } = new URL(url)
  const head = [`${method} ${target} HTTP/${version}`, ...headers, 'Connection: close', '', ''].join('\r\n')
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const to = { host: hostname, port: Number(port) }
  const socket = protocol === 'https:' ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
  let heard = ''
  socket.on('data', data => {
    heard += data.toString()
  })
  socket.on('error', reject)
  socket.on('close', () => {
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(heard)?.[1] ?? 0)
    resolve({ status, text: heard.slice(heard.indexOf('\r\n\r\n') + 4) })
  })
  socket.write(Buffer.from(head, 'latin1'))
  return promise
}
