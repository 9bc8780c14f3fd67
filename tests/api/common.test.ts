/** Things that all answers share: error bodies, request ids, headers, methods. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import type { Logger } from '../../src/lib/logger.ts'
import { expectError } from '../support/expect-error.ts'
import { basic, testHttp } from '../support/test-http.ts'

interface Line {
  level: string
  fields: Record<string, unknown>
}

const lines: Line[] = []
const record = (level: string) => (fields: unknown) => {
  lines.push({ level, fields: fields as Record<string, unknown> })
}
const logger: Logger = {
  debug: record('debug'),
  info: record('info'),
  warn: record('warn'),
  error: record('error'),
  fatal: record('fatal'),
  child: () => logger,
}

let app: Awaited<ReturnType<typeof testHttp>>
let ready = true
beforeAll(async () => {
  app = await testHttp({
    logger,
    readiness: () => ({ ready, checks: { database: 'ok', homeserver: ready ? 'ok' : 'unreachable' } }),
    mounts: [
      {
        prefix: '/mounted',
        fetch: async request => {
          if (request.url.endsWith('/fail')) throw new Error('broken inside')
          return new Response(`${request.method} ${request.url} ${await request.text()}`, {
            status: 203,
            headers: { 'x-own': 'yes' },
          })
        },
      },
      { prefix: '/mounted/deeper', fetch: async () => new Response('deeper') },
    ],
  })
})
afterAll(() => app.destroy())

describe('routes that are not there', () => {
  test.each(['/nope', '/api', '/api/v1', '/api/v2/tokens', '/api/v1/tokens/1/2', '/mountedx', '/docs/none'])(
    '%s: 404',
    async path => {
      expectError(await app.call('GET', path), 404, 'not_found')
    },
  )

  test.each([
    ['PATCH', '/api/v1/tokens', 'GET, HEAD, POST'],
    ['GET', '/api/v1/tokens/1', 'DELETE'],
    ['PUT', '/api/v1/devices', 'DELETE, GET, HEAD, POST'],
    ['GET', '/api/v1/devices/1/message', 'POST'],
    ['OPTIONS', '/api/v1/webhooks/1', 'DELETE, GET, HEAD, PUT'],
    ['POST', '/health', 'GET, HEAD'],
    ['DELETE', '/docs/index.html', 'GET, HEAD'],
  ])('%s %s: 405', async (method, path, allow) => {
    const answer = await app.call(method, path)
    expectError(answer, 405, 'method_not_allowed', allow)
    expect(answer.headers.get('allow')).toBe(allow)
  })

  test('a trailing slash changes nothing', async () => {
    expect((await app.call('GET', '/api/v1/tokens/', { auth: basic() })).status).toBe(200)
  })

  test('a path with NUL in it is no defect', async () => {
    expectError(
      await app.call('DELETE', '/api/v1/credentials/%00', { auth: basic() }),
      404,
      'not_found',
      'no credential',
    )
  })
})

describe('what is not percent-encoded UTF-8', () => {
  const NOT_UTF8 = ['%', '%f', '%zz', '%ff', '%E0%A4%A', '%c0%af', '%ED%A0%80']

  test.each([
    ['POST', '/api/v1/devices/*/message'],
    ['GET', '/api/v1/messages/*'],
    ['PUT', '/api/v1/webhooks/*'],
    ['DELETE', '/api/v1/webhooks/*'],
    ['DELETE', '/api/v1/tokens/*'],
    ['PUT', '/api/v1/credentials/*'],
    ['DELETE', '/api/v1/credentials/*'],
    ['GET', '/api/v1/media/*?expires=1&signature=x'],
    ['GET', '/docs/*'],
    ['GET', '/*'],
  ])('in the path, %s %s: 400', async (method, path) => {
    for (const malformed of NOT_UTF8) {
      const answer = await app.call(method, path.replace('*', malformed))
      expectError(answer, 400, 'bad_request', 'The path of the address is not valid percent-encoded UTF-8')
    }
  })

  test.each([
    '/api/v1/messages?before=*',
    '/api/v1/messages?limit=*',
    '/api/v1/messages?*=1',
    '/api/v1/devices/qr-code?token=*',
    '/api/v1/devices/qr-code?format=*&token=mt_x',
    '/api/v1/devices/qr-code?platform=*&token=mt_x',
    '/api/v1/media/x?expires=1&signature=*',
  ])('in the query, %s: 400', async path => {
    for (const malformed of NOT_UTF8) {
      const answer = await app.call('GET', path.replace('*', malformed))
      expectError(answer, 400, 'bad_request', 'The query of the address is not valid percent-encoded UTF-8')
    }
  })
})

test.each(['http://x', 'http://gw', 'http://api', 'http://gate', 'https://x', 'https://gw', 'http://[::1]'])(
  'every route is there when the host is %s',
  async origin => {
    expect((await app.call('GET', '/health', { origin })).status).toBe(200)
    expect((await app.call('GET', '/api/v1/messages?limit=0', { origin })).status).toBe(401)
    expect((await app.call('PUT', '/api/v1/webhooks/1', { origin, json: {} })).status).toBe(401)
    expect((await app.call('GET', '/mounted/deeper', { origin })).text).toBe('deeper')
    expectError(await app.call('PATCH', '/api/v1/tokens', { origin }), 405, 'method_not_allowed')
  },
)

describe('bodies', () => {
  const TOKENS = '/api/v1/tokens'

  test.each(['{', '', '{"a":}', '\u0000', 'use_host=true'].map(body => [body]))(
    '%j is not JSON',
    async body => {
      const answer = await app.call('POST', TOKENS, {
        auth: basic(),
        headers: { 'content-type': 'application/json' },
        body,
      })
      if (body === '') expect(answer.status).toBe(201)
      else expectError(answer, 400, 'bad_request', 'The body is not valid JSON')
    },
  )

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
  ])('%s: 415', async type => {
    const answer = await app.call('POST', TOKENS, {
      auth: basic(),
      headers: { 'content-type': type },
      body: '{}',
    })
    expectError(answer, 415, 'unsupported_media_type', 'application/json')
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    '%s without a body is as nothing, but for a page of another origin',
    async type => {
      const empty = () => new ReadableStream({ start: controller => controller.close() })
      for (const body of ['', empty()]) {
        const ask = (headers: Record<string, string>) =>
          app.http.handle(
            new Request(`http://localhost${TOKENS}`, {
              method: 'POST',
              headers: { authorization: basic(), 'content-type': type, ...headers },
              body: typeof body === 'string' ? body : empty(),
            }),
          )
        expect((await ask({})).status).toBe(201)
        expect((await ask({ origin: 'https://evil.example' })).status).toBe(415)
        expect((await ask({ 'sec-fetch-site': 'cross-site' })).status).toBe(415)
      }
    },
  )

  test('a type that a client sends by itself: the answer names the header to send', async () => {
    const answer = await app.call('POST', TOKENS, {
      auth: basic(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: '{"use_host": true}',
    })
    const says = 'not application/x-www-form-urlencoded; send the header "Content-Type: application/json"'
    expectError(answer, 415, 'unsupported_media_type', says)
  })

  test.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/vnd.api+json'])(
    'takes %s',
    async type => {
      const answer = await app.call('POST', TOKENS, {
        auth: basic(),
        headers: { 'content-type': type },
        body: '{}',
      })
      expect(answer.status).toBe(201)
    },
  )

  test('too large: 413', async () => {
    const answer = await app.call('POST', TOKENS, { auth: basic(), json: { pad: 'x'.repeat(1024 * 1024) } })
    expectError(answer, 413, 'payload_too_large')
  })
})

describe('what the use cases report', () => {
  test.each([
    ['bridge_error', 502],
    ['homeserver_error', 502],
    ['bridge_unavailable', 503],
    ['homeserver_unavailable', 503],
    ['shutting_down', 503],
    ['bridge_timeout', 504],
    ['storage_full', 507],
    ['storage_unavailable', 503],
    ['conflict', 409],
  ] as const)('%s: %i', async (code, status) => {
    const auth = `Bearer ${await app.newToken()}`
    app.failures.start = new GatewayError(code, 'the reason')
    const answer = await app.call('POST', '/api/v1/devices', { auth, json: { platform: 'wa' } })
    app.failures.start = undefined
    expectError(answer, status, code, /^the reason$/)
  })

  test('too_many_requests: 429 with Retry-After', async () => {
    const auth = `Bearer ${await app.newToken()}`
    app.failures.start = new GatewayError('too_many_requests', 'slower', 2.1)
    const answer = await app.call('POST', '/api/v1/devices', { auth, json: { platform: 'wa' } })
    app.failures.start = undefined
    expectError(answer, 429, 'too_many_requests')
    expect(answer.headers.get('retry-after')).toBe('3')
  })

  test('a defect: 500 that says nothing, and everything in the log', async () => {
    const auth = `Bearer ${await app.newToken()}`
    app.failures.start = new Error('SELECT secret FROM nowhere')
    lines.length = 0
    const answer = await app.call('POST', '/api/v1/devices', { auth, json: { platform: 'wa' } })
    app.failures.start = undefined
    expectError(answer, 500, 'internal_error')
    expect(answer.text).not.toContain('SELECT')
    const logged = lines.find(line => line.level === 'error')
    expect(logged?.fields).toMatchObject({
      request_id: answer.body.request_id,
      err: expect.objectContaining({ message: 'SELECT secret FROM nowhere' }),
    })
  })
})

describe('X-Request-Id', () => {
  test('is taken over when it is a sane one', async () => {
    const answer = await app.call('GET', '/nope', { headers: { 'x-request-id': 'Client-123_4.5' } })
    expect(answer.headers.get('x-request-id')).toBe('Client-123_4.5')
    expect(answer.body.request_id).toBe('Client-123_4.5')
  })

  test.each(['short', 'with space in it', 'x'.repeat(65), 'quote"quote"'])(
    'is our own instead of %p',
    async given => {
      const answer = await app.call('GET', '/health', { headers: { 'x-request-id': given } })
      expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]+-[0-9a-z]+$/)
      expect(answer.headers.get('x-request-id')).not.toBe(given)
    },
  )

  test('differs between requests', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await app.call('GET', '/health')).headers.get('x-request-id')),
    )
    expect(new Set(ids).size).toBe(3)
  })

  test('does not count them', async () => {
    const id = async () => (await app.call('GET', '/health')).headers.get('x-request-id') ?? ''
    const [one, other] = [await id(), await id()]
    expect(one.split('-')[0]).not.toBe(other.split('-')[0])
  })
})

test('every answer has the security headers', async () => {
  for (const path of ['/health', '/nope', '/api/v1/tokens', '/docs/json', '/docs/index.html']) {
    const { headers } = await app.call('GET', path)
    expect(headers.get('x-content-type-options'), path).toBe('nosniff')
    expect(headers.get('referrer-policy'), path).toBe('no-referrer')
  }
  expect((await app.call('GET', '/api/v1/tokens', { auth: basic() })).headers.get('cache-control')).toBe(
    'no-store',
  )
})

describe('the access log', () => {
  test('has one line for a failure, without the query', async () => {
    const token = await app.newToken()
    lines.length = 0
    const answer = await app.call('GET', `/api/v1/devices/qr-code?token=${token}&format=wrong`)
    const info = lines.filter(line => line.level === 'info')
    expect(info).toHaveLength(1)
    expect(info[0]?.fields).toMatchObject({
      method: 'GET',
      path: '/api/v1/devices/qr-code',
      route: '/api/v1/devices/qr-code',
      status: 400,
      request_id: answer.body.request_id,
      token_id: expect.any(Number),
    })
    expect(JSON.stringify(lines)).not.toContain(token)
  })

  test('names the credential', async () => {
    lines.length = 0
    await app.call('DELETE', '/api/v1/tokens/x', { auth: basic() })
    expect(lines.find(line => line.level === 'info')?.fields).toMatchObject({
      client_id: 'admin',
      status: 400,
    })
  })

  test('names the messages of a send by their ids, and nobody by a phone number', async () => {
    const auth = `Bearer ${await app.newToken()}`
    lines.length = 0
    const answer = await app.call('POST', '/api/v1/devices/237123456789/message', {
      auth,
      json: { platform: 'wa', contact: '237600000001', text: 'a secret' },
    })
    const ids = (answer.body.messages as { id: string }[]).map(({ id }) => id)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'info',
      fields: {
        request_id: answer.headers.get('x-request-id'),
        route: '/api/v1/devices/:device_id/message',
        path: '/api/v1/devices/…89/message',
        status: 200,
        ms: expect.any(Number),
        message_ids: ids,
        messages: ids.length,
      },
    })
    expect(JSON.stringify(lines)).not.toMatch(/2376|23712|a secret/)
  })

  test.each(['+999 170 123 456', '999-170-123-456', 'alice@example.com', 'Family Smith'])(
    'does not name %j, who is asked for in a path',
    async identifier => {
      const auth = `Bearer ${await app.newToken()}`
      lines.length = 0
      await app.call('GET', `/api/v1/devices/d/contacts/${encodeURIComponent(identifier)}`, { auth })
      expect(lines.map(({ fields }) => (fields as { path?: string }).path)).toContain(
        '/api/v1/devices/d/contacts/…',
      )
    },
  )

  test('is silent about probes and mounts that went well', async () => {
    lines.length = 0
    await app.call('GET', '/health')
    await app.call('GET', '/ready')
    await app.call('GET', '/mounted/deeper')
    expect(lines).toEqual([])
  })
})

describe('health', () => {
  test('/health', async () => {
    const { status, body } = await app.call('GET', '/health')
    expect([status, body]).toEqual([200, { status: 'ok', version: '0.0.0-test' }])
  })

  test('/ready', async () => {
    const up = await app.call('GET', '/ready')
    expect([up.status, up.body]).toEqual([
      200,
      { status: 'ready', checks: { database: 'ok', homeserver: 'ok' }, degraded: [] },
    ])
    ready = false
    const down = await app.call('GET', '/ready')
    ready = true
    expect([down.status, down.body]).toEqual([
      503,
      {
        status: 'not_ready',
        checks: { database: 'ok', homeserver: 'unreachable' },
        degraded: ['homeserver'],
      },
    ])
  })

  test('HEAD', async () => {
    const { status, text } = await app.call('HEAD', '/health')
    expect([status, text]).toEqual([200, ''])
  })
})

describe('mounts', () => {
  test.each(['GET', 'POST', 'OPTIONS', 'PROPFIND'])('%s passes through untouched', async method => {
    const body =
      method === 'GET' ? {} : { body: '{"not": read', headers: { 'content-type': 'application/json' } }
    const answer = await app.call(method, '/mounted/a%20b?c=%2F', body)
    expect(answer.status).toBe(203)
    expect(answer.text).toBe(`${method} http://localhost:8080/mounted/a%20b?c=%2F ${body.body ?? ''}`)
    expect(answer.headers.get('x-own')).toBe('yes')
  })

  test('the longest prefix wins', async () => {
    expect((await app.call('GET', '/mounted/deeper')).text).toBe('deeper')
    expect((await app.call('GET', '/mounted/deeperx')).status).toBe(203)
  })

  test('a defect inside: 500', async () => {
    const answer = await app.call('GET', '/mounted/fail')
    expect(answer.status).toBe(500)
    expect(answer.body.code).toBe('internal_error')
    expect(answer.text).not.toContain('broken inside')
  })
})
