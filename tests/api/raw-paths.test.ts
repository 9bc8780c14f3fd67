/** Refuses paths that a proxy may read differently, and none that is only percent-encoded. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { RunningServer } from '../../src/http/server.ts'
import { rawRequest } from '../support/raw-request.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let server: RunningServer

const told = (request: Request) => new Response(`mount ${new URL(request.url).pathname}`)

beforeAll(async () => {
  app = await testHttp({ mounts: ['/_matrix', '/sandbox'].map(prefix => ({ prefix, fetch: told })) })
  server = app.http.listen()
})
afterAll(async () => {
  await server.stop(0)
  app.destroy()
})

describe('refused', () => {
  test.each([
    '/api/..\\sandbox',
    '/api/..\\..\\sandbox\\x',
    '/api/\\..\\..\\sandbox',
    '/api\\..\\sandbox',
    '/\\sandbox',
    '/sandbox\\phones',
    '/api/../sandbox',
    '/api/./v1/devices',
    '/sandbox/../health',
    '/api/v1/devices/..',
    '/api/%2e%2e/sandbox',
    '/api/.%2E/sandbox',
    '/api/%2e/v1/devices',
    '/api/..%2fsandbox',
    '/sandbox/..%2Fapi%2fx',
    '/sandbox/%2e%2e%2fapi',
    '/api/..%5csandbox',
    '/api/x%5C..%5c..%5csandbox',
    '/api/v1/devices/a%5cb',
    '//sandbox',
    '/api//v1/devices',
    '/api/v1/devices//',
    '/api//../../sandbox',
    '/api/..//sandbox',
    '/health/..\\sandbox',
    '/sandbox/..\\health',
    `/api${'/x'.repeat(30)}${'/..'.repeat(31)}/sandbox`,
    'http://localhost/api/..\\sandbox',
    'http://elsewhere/api/../sandbox',
    // Leading into what is for the homeserver, or out of it.
    '/api/..\\_matrix/client/versions',
    '/api/../_matrix/client/versions',
    '/_matrix/../api/v1/devices',
    '/_matrix/..\\api/v1/devices',
    '/_matrix/%2e%2e/api/v1/devices',
    '/_matrix/..%2fapi/v1/devices',
    '/_matrix/client/..%2f..%2f..%2fapi/v1/devices',
    '/_matrix/..%5capi%5cv1',
    '/_matrix//../api/x',
    '/%5fmatrix/client/x%5cy',
  ])('%s', async target => {
    const { status, text } = await rawRequest(server.url, target)
    expect({ target, status }).toEqual({ target, status: 400 })
    expect(JSON.parse(text)).toMatchObject({
      code: 'bad_request',
      error: expect.stringMatching(/^The path of the address has (an empty segment|a backslash)/),
      request_id: expect.any(String),
    })
  })

  test('whatever the method, the version and the host, and as a WebSocket', async () => {
    const upgrade = [
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${'a'.repeat(22)}==`,
    ]
    for (const options of [
      { method: 'POST' },
      { method: 'PROPFIND' },
      { version: '1.0', headers: [] },
      { headers: ['Host: ['] },
      { headers: ['Host: localhost', ...upgrade] },
    ])
      expect((await rawRequest(server.url, '/api/..\\sandbox', options)).status).toBe(400)
  })
})

describe('not refused', () => {
  test.each([
    ['/health', 200],
    ['/health?next=/../..\\x//%5c', 200],
    ['http://localhost/health', 200],
    ['/api/v1/devices/', 401],
    ['/api/v1/devices/%2B237123456789/contacts/a%2Fb%3Fc%23d%20..e', 401],
    ['/api/v1/devices/a%2eb/contacts/https%3A%2F%2Ft.me%2Fx', 401],
    // Three dots are no path segment but a name, here of a device.
    ['/api/v1/devices/...', 401],
    ['/api/v1/...', 404],
    ['/nowhere', 404],
    ['/%61pi/v1/devices', 404],
  ])('%s: %p', async (target, status) => {
    expect((await rawRequest(server.url, target)).status).toBe(status)
  })

  test.each([
    ['/sandbox', '/sandbox'],
    ['/sandbox/', '/sandbox/'],
    ['/_matrix/client/v3/rooms/%21x/state/t/%5C', '/_matrix/client/v3/rooms/%21x/state/t/%5C'],
    ['/_matrix/client/v3/rooms/x/state/t/..%2Fa', '/_matrix/client/v3/rooms/x/state/t/..%2Fa'],
    ['/_matrix/client/v3/rooms/x/state/t/', '/_matrix/client/v3/rooms/x/state/t/'],
    ['/_matrix/client/v3/x/%2e%2e/y', '/_matrix/client/v3/y'],
  ])('%s reaches its mount as %s', async (target, path) => {
    expect((await rawRequest(server.url, target)).text).toBe(`mount ${path}`)
  })
})
