/** TLS by the server itself: what it serves, and how a certificate is changed while it runs. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import type { RunningServer } from '../../src/http/server.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { freePort } from '../support/program.ts'
import { selfSigned } from '../support/self-signed.ts'
import { tempDir } from '../support/temp-dir.ts'
import { testHttp } from '../support/test-http.ts'
import { waitFor } from '../support/wait-for.ts'

let folder: ReturnType<typeof tempDir>
let served: ReturnType<typeof selfSigned>
beforeEach(() => {
  folder = tempDir()
  served = { cert: join(folder.path, 'fullchain.pem'), key: join(folder.path, 'privkey.pem') }
})
afterEach(() => folder[Symbol.dispose]())

/** Replaces the certificate, as a renewal does. @returns its fingerprint */
function renew(name: string): string {
  const { cert, key } = selfSigned(folder, name)
  copyFileSync(cert, served.cert)
  copyFileSync(key, served.key)
  return new X509Certificate(readFileSync(cert)).fingerprint256
}

interface Client {
  fingerprint: string
  socket: TLSSocket
  /** Asks for /health. @returns the status line */
  ask(): Promise<string>
}

function openClient(port: number): Promise<Client> {
  return new Promise((resolve, reject) => {
    // The certificate is compared by the test itself.
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const { fingerprint256: fingerprint } = socket.getPeerCertificate()
      resolve({ fingerprint, socket, ask })
    })
    socket.on('error', reject)
    const ask = () =>
      new Promise<string>((answered, failed) => {
        socket.once('data', data => answered(data.toString().split('\r\n')[0] ?? ''))
        socket.once('close', () => failed(new Error('the connection was closed')))
        socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
      })
  })
}

async function fingerprintAt(port: number): Promise<string> {
  const { fingerprint, socket } = await openClient(port)
  socket.destroy()
  return fingerprint
}

describe('the certificate', () => {
  let app: Awaited<ReturnType<typeof testHttp>>
  let server: RunningServer
  let first: string

  beforeEach(async () => {
    first = renew('first')
    app = await testHttp({ http: { tls: { certFile: served.cert, keyFile: served.key } } })
    server = app.http.listen()
  })
  afterEach(async () => {
    await server.stop(0)
    app.destroy()
  })

  test('that was renewed is served to new connections, and those that are open go on with theirs', async () => {
    const old = await openClient(server.port)
    expect(old.fingerprint).toBe(first)
    const second = renew('second')
    expect(server.reloadCertificate()).toMatchObject({ fingerprint: second, subject: 'CN=second' })
    expect(await fingerprintAt(server.port)).toBe(second)
    expect(await old.ask()).toBe('HTTP/1.1 200 OK')
    old.socket.destroy()
    const third = renew('third')
    server.reloadCertificate()
    for (let turn = 0; turn < 5; turn += 1) expect(await fingerprintAt(server.port)).toBe(third)
  })

  test('may be renewed while a WebSocket is open', async () => {
    app.link.underWay = true
    app.link.latest = { type: 'qr', payload: 'before', image_url: null, instructions: '' }
    const url = `${server.url.replace('https', 'wss')}/api/v1/devices/qr-code?token=${await app.newToken()}`
    const open = () => new WebSocket(url, { tls: { rejectUnauthorized: false } })
    const frames: string[] = []
    const socket = open()
    socket.onmessage = ({ data }) => frames.push(data)
    await waitFor(() => frames.length === 1)
    renew('second')
    server.reloadCertificate()
    app.link.emit({ type: 'qr', payload: 'after', image_url: null, instructions: '' })
    await waitFor(() => frames.length === 2)
    expect(frames).toEqual(['before', 'after'])
    const another = open()
    await waitFor(() => another.readyState === WebSocket.OPEN)
    expect(await server.stop(5_000)).toBeTrue()
    await waitFor(() => socket.readyState === WebSocket.CLOSED && another.readyState === WebSocket.CLOSED)
  })

  test.each([
    ['is no certificate', () => writeFileSync(served.cert, 'nothing'), 'TLS_CERT_FILE: '],
    [
      'is cut off',
      () => writeFileSync(served.cert, readFileSync(served.cert).subarray(0, 300)),
      'TLS_CERT_FILE: ',
    ],
    ["has another's key", () => copyFileSync(selfSigned(folder, 'other').key, served.key), 'TLS_KEY_FILE: '],
    ['has no key', () => writeFileSync(served.key, ''), 'TLS_KEY_FILE: '],
  ])('that %s changes nothing', async (_what, spoil, message) => {
    spoil()
    expect(() => server.reloadCertificate()).toThrow(message)
    const { fingerprint, ask, socket } = await openClient(server.port)
    expect(fingerprint).toBe(first)
    expect(await ask()).toBe('HTTP/1.1 200 OK')
    socket.destroy()
  })

  test('does not let a second gateway have the port', async () => {
    const tls = { certFile: served.cert, keyFile: served.key }
    const another = await testHttp({ http: { tls, port: server.port } })
    expect(() => another.http.listen()).toThrow(/in use/)
    await another.destroy()
  })
})

test('SIGHUP reads it anew, the log tells, and a broken one keeps the old', async () => {
  const first = renew('first')
  const port = freePort()
  await using gateway = await spawnGateway({
    env: {
      PORT: String(port),
      TLS_CERT_FILE: served.cert,
      TLS_KEY_FILE: served.key,
      LOG_LEVEL: 'info',
    },
  })
  expect(await fingerprintAt(port)).toBe(first)
  const second = renew('second')
  process.kill(gateway.pid, 'SIGHUP')
  await waitFor(() => gateway.output().includes(second), { what: 'the log to tell of the new certificate' })
  expect(await fingerprintAt(port)).toBe(second)
  writeFileSync(served.cert, 'nothing')
  process.kill(gateway.pid, 'SIGHUP')
  await waitFor(() => gateway.output().includes('stays the old one'), {
    what: 'the log to tell of the failure',
  })
  expect(await fingerprintAt(port)).toBe(second)
  expect(await gateway.stop()).toBe(0)
})

test('SIGHUP without TLS, as a service manager sends it behind a proxy, stops nothing', async () => {
  await using gateway = await spawnGateway({ env: { LOG_LEVEL: 'info' } })
  process.kill(gateway.pid, 'SIGHUP')
  await waitFor(() => gateway.output().includes('nothing to read anew'), { what: 'the log to tell of it' })
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
  expect(await gateway.stop()).toBe(0)
})
