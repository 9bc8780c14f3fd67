/** In development the Host header has to name the gateway, against DNS rebinding. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rawRequest } from '../support/raw-request.ts'
import { testHttp } from '../support/test-http.ts'

const stops: (() => Promise<void>)[] = []
/** With no settings but the defaults. */
let plain: string

beforeAll(async () => {
  plain = await listening()
})
afterAll(async () => {
  for (const stop of stops) await stop()
})

async function listening(options: Parameters<typeof testHttp>[0] = {}): Promise<string> {
  const app = await testHttp({
    mounts: [
      { prefix: '/sandbox', fetch: () => new Response('the sandbox') },
      { prefix: '/_matrix', fetch: () => new Response('for a token'), anyHost: true },
    ],
    ...options,
  })
  const server = app.http.listen()
  stops.push(async () => {
    await server.stop(0)
    await app.destroy()
  })
  return server.url
}

const statusOf = async (url: string, host: string, target = '/health') =>
  (await rawRequest(url, target, { headers: [`Host: ${host}`] })).status

test.each([
  'localhost',
  'localhost:8080',
  'LocalHost.:80',
  '127.0.0.1:8080',
  '127.8.9.1',
  '192.0.2.7',
  '[::1]:8080',
  '[2001:db8::1]',
])('%s is a name of ours', async host => {
  expect(await statusOf(plain, host)).toBe(200)
})

test.each([
  'evil.example',
  'evil.example:8080',
  'localhost.evil.example',
  'evil.localhost',
  'localhostx',
  '127.0.0.1.evil.example',
  'localhost@evil.example',
  'evil.example#localhost',
  'evil.example\\localhost',
  'localhost, evil.example',
  '[evil]',
  'localhost:x',
  '',
])('%p is none: 421, for routes, mounts, metrics and WebSockets alike', async host => {
  for (const target of ['/health', '/sandbox', '/metrics', '/api/v1/devices/qr-code', '/nowhere'])
    expect([target, await statusOf(plain, host, target)]).toEqual([target, 421])
})

test('two hosts are none', async () => {
  const headers = ['Host: localhost', 'Host: evil.example']
  expect((await rawRequest(plain, '/sandbox', { headers })).status).toBe(421)
})

test('the answer names what to set, and the preflight of a page is no way in', async () => {
  const headers = ['Host: evil.example', 'Origin: http://evil.example', 'Access-Control-Request-Method: GET']
  const { status, text } = await rawRequest(plain, '/sandbox', { method: 'OPTIONS', headers })
  expect(status).toBe(421)
  expect(JSON.parse(text)).toEqual({
    error: expect.stringMatching(/^Host: "evil\.example" isn't a name of this gateway\..*PUBLIC_URL/),
    code: 'misdirected_request',
    request_id: expect.any(String),
  })
})

test('HOST, PUBLIC_URL and CORS_ORIGINS name others', async () => {
  const url = await listening({
    publicUrl: 'https://Gateway.example.com:8443',
    http: { host: 'localhost', corsOrigins: ['https://app.example.com', '*'] },
  })
  for (const host of ['gateway.example.com', 'GATEWAY.EXAMPLE.COM.:443', 'app.example.com'])
    expect([host, await statusOf(url, host)]).toEqual([host, 200])
  for (const host of ['example.com', 'x.gateway.example.com', '*'])
    expect([host, await statusOf(url, host)]).toEqual([host, 421])
})

test('a mount that lets nobody in without a token serves any host', async () => {
  expect(await statusOf(plain, 'meshgate:8080', '/_matrix/client/versions')).toBe(200)
})

test('a client that names no host at all is no browser', async () => {
  const answer = await rawRequest(plain, '/health', { version: '1.0', headers: [] })
  expect(answer.status).toBe(200)
})

test('in production nothing is open that a name could open', async () => {
  const url = await listening({ mode: 'production' })
  expect(await statusOf(url, 'evil.example')).toBe(200)
  expect(await statusOf(url, 'evil.example', '/metrics')).toBe(403)
})
