/** Security headers on every answer, allowed origins, and pages that may open the WebSocket. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { AnsweredRequest } from '../../src/domain/observation.ts'
import type { RunningServer } from '../../src/http/server.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { watchSocket } from '../support/socket-watcher.ts'
import { testGateway } from '../support/test-gateway.ts'
import { basic, testHttp } from '../support/test-http.ts'
import { waitFor } from '../support/wait-for.ts'

const APP = 'https://app.example.com'
type TestApp = Awaited<ReturnType<typeof testHttp>>

const MOUNTS = [
  { prefix: '/plain', fetch: () => new Response('x') },
  { prefix: '/own', fetch: () => new Response('done'), onlyOwnPages: true },
  { prefix: '/page', fetch: () => new Response('x', { headers: { 'content-security-policy': 'own' } }) },
  {
    prefix: '/broken',
    fetch: () => {
      throw new Error('broken')
    },
  },
]

describe('headers', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await testHttp({ mounts: MOUNTS })
  })
  afterAll(() => app.destroy())

  test.each([
    ['GET', '/health'],
    ['GET', '/ready'],
    ['GET', '/docs'],
    ['GET', '/docs/index.html'],
    ['GET', '/docs/json'],
    ['GET', '/docs/swagger-ui.css'],
    ['GET', '/nowhere'],
    ['PATCH', '/api/v1/tokens'],
    ['OPTIONS', '/api/v1/tokens'],
    ['GET', '/api/v1/tokens'],
    ['GET', '/api/v1/messages/%ff'],
    ['POST', '/api/v1/devices/1/message'],
    ['GET', '/plain'],
    ['GET', '/page'],
    ['GET', '/broken'],
  ])('%s %s has them', async (method, path) => {
    const { headers } = await app.call(method, path)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
    expect(headers.get('content-security-policy')).toBeTruthy()
    expect(headers.get('strict-transport-security')).toBeNull()
    expect([...headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([])
    expect(headers.get('server')).toBeNull()
    expect(headers.get('x-powered-by')).toBeNull()
  })

  test('answers with data run nothing, are framed by nobody and are kept nowhere', async () => {
    const { headers } = await app.call('GET', '/api/v1/tokens', { auth: basic() })
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('a page keeps its own policy', async () => {
    expect((await app.call('GET', '/page')).headers.get('content-security-policy')).toBe('own')
    const docs = await app.call('GET', '/docs/index.html')
    expect(docs.headers.get('content-security-policy')).toStartWith("default-src 'self'")
  })

  test.each([[{ tls: { certFile: 'c', keyFile: 'k' } }], [{ publicUrl: 'https://gateway.example.com' }]])(
    'with %p browsers are told to come back by TLS alone',
    async http => {
      const secure = await testHttp({ http, mounts: MOUNTS })
      for (const path of ['/health', '/nowhere', '/plain']) {
        const { headers } = await secure.call('GET', path)
        expect(headers.get('strict-transport-security')).toBe('max-age=31536000')
      }
      await secure.destroy()
    },
  )
})

describe('other origins', () => {
  const apps: TestApp[] = []
  afterEach(() => {
    for (const app of apps.splice(0)) app.destroy()
  })
  const withOrigins = async (...corsOrigins: string[]) => {
    const app = await testHttp({ http: { corsOrigins }, mounts: MOUNTS })
    apps.push(app)
    return app
  }
  const preflight = (origin: string) => ({
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  })

  test('may not call, when none is configured', async () => {
    const app = await withOrigins()
    const asked = await app.call('OPTIONS', '/api/v1/tokens', preflight(APP))
    expect(asked.status).toBe(405)
    expect(asked.headers.get('access-control-allow-origin')).toBeNull()
    const called = await app.call('GET', '/api/v1/tokens', { auth: basic(), headers: { origin: APP } })
    expect(called.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('that are configured may, and read errors and what headers tell', async () => {
    const app = await withOrigins('http://localhost:5173', APP)
    const asked = await app.call('OPTIONS', '/api/v1/devices/1/message', preflight(APP))
    expect(asked.status).toBe(204)
    expect(asked.text).toBe('')
    expect(Object.fromEntries(asked.headers)).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
      'access-control-max-age': '600',
      vary: 'Origin',
    })
    const headers = asked.headers.get('access-control-allow-headers')?.toLowerCase().split(', ')
    for (const name of ['authorization', 'content-type', 'idempotency-key']) expect(headers).toContain(name)
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    for (const auth of [basic(), basic('admin', 'wrong')]) {
      const called = await app.call('GET', '/api/v1/tokens', { auth, headers: { origin: APP } })
      expect(called.headers.get('access-control-allow-origin')).toBe(APP)
      expect(called.headers.get('access-control-expose-headers')).toContain('Retry-After')
      expect(called.headers.get('vary')).toBe('Origin')
    }
  })

  test.each(['https://evil.example', 'null', `${APP}.evil.example`, 'http://app.example.com', `${APP}:8443`])(
    '%s is not one of them',
    async origin => {
      const app = await withOrigins(APP)
      const asked = await app.call('OPTIONS', '/api/v1/tokens', preflight(origin))
      expect(asked.status).toBe(405)
      const called = await app.call('GET', '/api/v1/tokens', { auth: basic(), headers: { origin } })
      for (const { headers } of [asked, called]) {
        expect(headers.get('access-control-allow-origin')).toBeNull()
        expect(headers.get('vary')).toBe('Origin')
      }
    },
  )

  test.each<[Record<string, string>, number]>([
    [{ 'sec-fetch-site': 'cross-site' }, 415],
    [{ 'sec-fetch-site': 'same-site', origin: 'https://other.example.com' }, 415],
    [{ origin: 'https://evil.example' }, 415],
    [{ 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' }, 201],
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://localhost:8080' }, 201],
    [{ 'sec-fetch-site': 'none' }, 201],
    [{}, 201],
  ])(
    'change nothing by a call without a body that a browser makes unasked: %j is a %d',
    async (headers, status) => {
      const app = await withOrigins()
      const called = await app.call('POST', '/api/v1/tokens', { auth: basic(), headers })
      expect(called.status).toBe(status)
    },
  )

  test('* is any', async () => {
    const app = await withOrigins('*')
    const called = await app.call('GET', '/health', { headers: { origin: 'https://any.example' } })
    expect(called.headers.get('access-control-allow-origin')).toBe('*')
  })

  test.each<[string, Record<string, string>, number]>([
    ['POST', { origin: 'http://localhost:8080' }, 200],
    ['POST', {}, 200],
    ['POST', { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' }, 403],
    ['POST', { origin: 'https://localhost:8443' }, 403],
    ['POST', { origin: APP }, 403],
    ['POST', { origin: 'null' }, 403],
    ['DELETE', { origin: 'http://localhost:5173' }, 403],
    ['GET', { origin: 'http://localhost:5173' }, 200],
  ])(
    'of all, CORS_ORIGINS included, none may %s where no token is needed: %j is a %d',
    async (method, headers, status) => {
      const app = await withOrigins('*')
      expect((await app.call(method, '/own/api/faults', { headers })).status).toBe(status)
    },
  )

  test('change nothing in the sandbox of the whole gateway, whose own pages do', async () => {
    await using gateway = await testGateway()
    const phone = (origin: string) =>
      fetch(`${gateway.url}/sandbox/api/phones`, {
        method: 'POST',
        headers: { origin, 'content-type': 'application/json' },
        body: JSON.stringify({ phone: '1234567890', name: 'Jo' }),
      })
    expect((await phone('http://localhost:1')).status).toBe(403)
    expect((await phone(gateway.url)).status).toBe(200)
  })

  test('have nothing to ask of homeserver and sandbox', async () => {
    const app = await withOrigins('*')
    const called = await app.call('GET', '/plain', { headers: { origin: APP } })
    expect(called.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('the WebSocket', () => {
  let app: TestApp
  let server: RunningServer
  let token: string
  beforeAll(async () => {
    app = await testHttp({ http: { corsOrigins: [APP], publicUrl: 'https://gateway.example.com' } })
    server = app.http.listen()
    token = await app.newToken()
    app.link.underWay = true
    app.link.latest = { type: 'qr', payload: 'qr-1', image_url: null, instructions: '' }
  })
  afterAll(async () => {
    await server.stop(0)
    app.destroy()
  })

  const handshake = (origin: string | undefined, auth = `Bearer ${token}`) =>
    fetch(`${server.url}/api/v1/devices/qr-code`, {
      headers: {
        authorization: auth,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...(origin === undefined ? {} : { origin }),
      },
    })

  test.each([
    ['a page of another site', () => 'https://evil.example'],
    ['a page without an origin', () => 'null'],
    ['a page on another port', () => `http://localhost:${server.port + 1}`],
    ['a page of a site whose name begins like ours', () => 'https://gateway.example.com.evil.example'],
    ['what is no origin', () => 'gateway'],
  ])('is refused to %s', async (_who, origin) => {
    const answer = await handshake(origin())
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({
      code: 'forbidden',
      error: expect.stringMatching(/^Origin: /),
    })
  })

  test.each([
    ['programs', () => undefined],
    ['our own pages', () => server.url],
    ['pages of PUBLIC_URL', () => 'https://gateway.example.com'],
    ['pages of CORS_ORIGINS', () => APP],
  ])('is open to %s', async (_who, origin) => {
    const from = origin()
    const url = `${server.url.replace('http', 'ws')}/api/v1/devices/qr-code?token=${token}`
    await using socket = watchSocket(url, from === undefined ? {} : { origin: from })
    expect(await socket.waitForText(0)).toBe('qr-1')
  })

  test('is logged and counted as what it became: 101', async () => {
    const answered: AnsweredRequest[] = []
    let lines = ''
    const destination = {
      write(line: string) {
        lines += line
      },
    }
    const watched = await testHttp({
      logger: createLogger('info', { format: 'json', destination }),
      observer: {
        requestAnswered: request => void answered.push(request),
        requestRefused: () => undefined,
        authenticationFailed: () => undefined,
      },
    })
    watched.link.underWay = true
    watched.link.latest = { type: 'qr', payload: 'qr-1', image_url: null, instructions: '' }
    const listening = watched.http.listen()
    const path = `/api/v1/devices/qr-code?token=${await watched.newToken()}`
    await using socket = watchSocket(listening.url.replace('http', 'ws') + path)
    await socket.waitForText(0)
    const isSocket = ({ route }: { route?: unknown }) => route === '/api/v1/devices/qr-code'
    await waitFor(() => answered.some(isSocket), { what: 'the request to be counted' })
    expect(answered.find(isSocket)?.status).toBe(101)
    const logged = lines
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(logged.find(isSocket)).toMatchObject({ status: 101, msg: 'request' })
    await listening.stop(0)
    await watched.destroy()
  })

  test('asks who it is first', async () => {
    expect((await handshake('https://evil.example', 'Bearer nothing')).status).toBe(403)
    expect((await handshake(undefined, 'nothing')).status).toBe(401)
  })

  test('takes no frame beyond 64 KiB', async () => {
    const url = `${server.url.replace('http', 'ws')}/api/v1/devices/qr-code?token=${token}`
    await using socket = watchSocket(url)
    await socket.waitForText(0)
    socket.send({ type: 'input', fields: { code: 'x'.repeat(64 * 1024) } })
    const { code } = await socket.closed
    expect(code).toBeOneOf([1006, 1009])
    expect(app.link.answers).toEqual([])
  })
})
