/** Both ways to authenticate, on every route: the caller is checked before anything else. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { ADMIN, basic, testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
beforeAll(async () => {
  app = await testHttp()
})
afterAll(() => app.destroy())

const BASIC_ROUTES = [
  ['GET', '/api/v1/tokens'],
  ['POST', '/api/v1/tokens'],
  ['DELETE', '/api/v1/tokens/x'],
  ['GET', '/api/v1/credentials'],
  ['POST', '/api/v1/credentials'],
  ['PUT', '/api/v1/credentials/x'],
  ['DELETE', '/api/v1/credentials/x'],
] as const
const BEARER_ROUTES = [
  ['GET', '/api/v1/devices'],
  ['POST', '/api/v1/devices'],
  ['DELETE', '/api/v1/devices'],
  ['GET', '/api/v1/devices/qr-code?format=wrong'],
  ['POST', '/api/v1/devices/1/message'],
  ['GET', '/api/v1/messages?limit=wrong'],
  ['GET', '/api/v1/messages/1'],
  ['GET', '/api/v1/webhooks'],
  ['POST', '/api/v1/webhooks'],
  ['PUT', '/api/v1/webhooks/x'],
  ['DELETE', '/api/v1/webhooks/x'],
] as const

const b64 = (text: string) => Buffer.from(text).toString('base64')
const UNREADABLE = { headers: { 'content-type': 'application/json' }, body: '{"unreadable' }
/** A body that would be refused: the 401 or 403 shows that it wasn't looked at. */
const bodyFor = (method: string) => (method === 'GET' ? {} : UNREADABLE)

describe('Basic', () => {
  describe.each(BASIC_ROUTES)('%s %s', (method, path) => {
    test.each([
      ['nothing', undefined],
      ['another scheme', 'Bearer mt_x'],
      ['no credentials', 'Basic'],
      ['no base64', 'Basic !!!'],
      ['no colon', `Basic ${b64('admin')}`],
      ['no id', `Basic ${b64(':secret')}`],
      ['a wrong secret', basic(ADMIN.clientId, 'wrong')],
      ['an empty secret', basic(ADMIN.clientId, '')],
      ['an unknown id', basic('nobody', ADMIN.secret)],
    ])('with %s: 401', async (_name, auth) => {
      const answer = await app.call(method, path, { ...bodyFor(method), ...(auth ? { auth } : {}) })
      expectError(answer, 401, 'unauthorized')
      expect(answer.headers.get('www-authenticate')).toBe('Basic realm="meshgate", charset="UTF-8"')
    })
  })

  test('takes colons and UTF-8 in the secret, and any case of the scheme', async () => {
    expect(ADMIN.secret).toMatch(/:.*ü/)
    const encoded = basic().slice('Basic '.length)
    const latin1 = btoa(`${ADMIN.clientId}:${ADMIN.secret}`)
    expect(latin1).not.toBe(encoded)
    expect((await app.call('GET', '/api/v1/tokens', { auth: `Basic ${latin1}` })).status).toBe(200)
    for (const scheme of ['Basic', 'basic', 'BASIC']) {
      const answer = await app.call('GET', '/api/v1/tokens', { auth: `${scheme} ${encoded}` })
      expect(answer.status).toBe(200)
    }
  })
})

describe('Bearer', () => {
  describe.each(BEARER_ROUTES)('%s %s', (method, path) => {
    test.each([
      ['nothing', undefined],
      ['another scheme', basic()],
      ['no token', 'Bearer'],
      ['an empty token', 'Bearer  '],
      ['a scheme that only begins alike', `Bearerx mt_${'A'.repeat(43)}`],
    ])('with %s: 401', async (_name, auth) => {
      const answer = await app.call(method, path, { ...bodyFor(method), ...(auth ? { auth } : {}) })
      expectError(answer, 401, 'unauthorized')
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="meshgate"')
    })

    test('with an unknown token: 403', async () => {
      const answer = await app.call(method, path, { ...bodyFor(method), auth: `Bearer mt_${'A'.repeat(43)}` })
      expectError(answer, 403, 'forbidden')
      expect(answer.headers.get('www-authenticate')).toBeNull()
    })
  })

  test.each(BEARER_ROUTES.filter(([, path]) => !path.includes('qr-code')))(
    '%s %s with a token in the address: 401',
    async (method, path) => {
      const url = `${path}${path.includes('?') ? '&' : '?'}token=${await app.newToken()}`
      expectError(await app.call(method, url, bodyFor(method)), 401, 'unauthorized')
    },
  )

  test('an expired token: 403', async () => {
    const { body } = await app.call('POST', '/api/v1/tokens', {
      auth: basic(),
      json: { expires_at: new Date(app.clock.now() + 60_000).toISOString() },
    })
    const auth = `Bearer ${body.token}`
    expect((await app.call('GET', '/api/v1/devices', { auth })).status).toBe(200)
    await app.clock.advance(60_000)
    expectError(await app.call('GET', '/api/v1/devices', { auth }), 403, 'forbidden', 'expired')
  })

  test('takes any case of the scheme', async () => {
    const token = await app.newToken()
    for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
      expect((await app.call('GET', '/api/v1/devices', { auth: `${scheme} ${token}` })).status).toBe(200)
    }
  })
})
