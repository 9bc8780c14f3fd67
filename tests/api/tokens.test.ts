/** /api/v1/tokens as the usage guide has it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { basic, testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let user: string
beforeAll(async () => {
  app = await testHttp()
  const created = await app.call('POST', '/api/v1/credentials', {
    auth: basic(),
    json: { client_id: 'user' },
  })
  user = basic('user', String(created.body.client_secret))
})
afterAll(() => app.destroy())

const TOKENS = '/api/v1/tokens'

describe('POST', () => {
  test('use_host before there is an admin: 400', async () => {
    const answer = await app.call('POST', TOKENS, { auth: basic(), json: { use_host: true } })
    expectError(answer, 400, 'bad_request', 'use_host')
  })

  test('the first token', async () => {
    const answer = await app.call('POST', TOKENS, { auth: basic(), json: { use_host: false } })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({
      message: 'Matrix token created successfully',
      token: expect.stringMatching(/^mt_[A-Za-z0-9_-]{43}$/),
    })
    const [first] = (await app.call('GET', TOKENS, { auth: basic() })).body.list as { id: number }[]
    expect(answer.headers.get('location')).toBe(`${TOKENS}/${first?.id}`)
  })

  test.each([
    ['use_host', { use_host: true }],
    ['an expiry', { use_host: false, expires_at: '2026-12-31T23:59:59Z' }],
    ['null, which means absent', { use_host: null, expires_at: null }],
    ['fields nobody knows, which are ignored', { use_host: false, extra: { a: [1] } }],
    ['no fields', {}],
  ])('takes %s', async (_name, json) => {
    const answer = await app.call('POST', TOKENS, { auth: basic(), json })
    expect(answer.status, answer.text).toBe(201)
    expect(Object.keys(answer.body)).toEqual(['message', 'token'])
  })

  test('takes no body at all', async () => {
    expect((await app.call('POST', TOKENS, { auth: basic() })).status).toBe(201)
  })

  test.each([
    [{ use_host: 'true' }, 'use_host: expected true or false'],
    [{ use_host: 1 }, 'use_host: expected true or false'],
    [{ expires_at: 5 }, 'expires_at: expected text'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at: expected a time in the future'],
    [{ expires_at: '2026-12-31' }, /^expires_at: expected an RFC 3339 time/],
    [[], 'The body must be a JSON object'],
    ['text', 'The body must be a JSON object'],
    [7, 'The body must be a JSON object'],
  ])('refuses %j', async (json, says) => {
    expectError(await app.call('POST', TOKENS, { auth: basic(), json }), 400, 'bad_request', says)
  })

  test('use_host without super_admin: 403', async () => {
    expectError(await app.call('POST', TOKENS, { auth: user, json: { use_host: true } }), 403, 'forbidden')
  })

  test('a homeserver that is down: 503, and no token', async () => {
    const before = (await app.call('GET', TOKENS, { auth: user })).text
    app.provisioning.failure = 'homeserver_unavailable'
    const answer = await app.call('POST', TOKENS, { auth: user, json: {} })
    app.provisioning.failure = undefined
    expectError(answer, 503, 'homeserver_unavailable')
    expect((await app.call('GET', TOKENS, { auth: user })).text).toBe(before)
  })
})

describe('GET and DELETE', () => {
  test('a credential sees and deletes its own tokens alone', async () => {
    await app.call('POST', TOKENS, { auth: user, json: {} })
    const { body } = await app.call('GET', TOKENS, { auth: user })
    const [own] = body.list as Record<string, unknown>[]
    expect(Object.keys(own ?? {})).toEqual([
      'id',
      'matrix_username',
      'matrix_device_id',
      'is_admin',
      'expires_at',
      'last_used_at',
      'created_at',
      'updated_at',
    ])
    await app.newToken()
    const [theirs] = (await app.call('GET', TOKENS, { auth: basic() })).body.list as { id: number }[]
    expectError(await app.call('DELETE', `${TOKENS}/${theirs?.id}`, { auth: user }), 404, 'not_found')
    expect((await app.call('GET', TOKENS, { auth: basic() })).body.list).toContainEqual(theirs)
    const deleted = await app.call('DELETE', `${TOKENS}/${own?.id}`, { auth: user })
    expect([deleted.status, deleted.body]).toEqual([200, { message: 'Matrix token deleted successfully' }])
    expectError(await app.call('DELETE', `${TOKENS}/${own?.id}`, { auth: user }), 404, 'not_found')
  })

  test('a limit or a cursor makes it pages, newest first', async () => {
    for (let made = 0; made < 3; made++) await app.newToken()
    const listed = async (query = '') =>
      JSON.parse((await app.call('GET', TOKENS + query, { auth: basic() })).text)
    const newestFirst = (await listed()).toReversed()
    const first = await listed('?limit=1')
    expect(first.data).toEqual(newestFirst.slice(0, 1))
    expect(await listed(`?cursor=${first.next}`)).toEqual({ data: newestFirst.slice(1), next: null })
  })

  test('no token or hash is ever listed', async () => {
    const token = await app.newToken()
    const { text } = await app.call('GET', TOKENS, { auth: basic() })
    expect(text).not.toContain(token)
    expect(text).not.toMatch(/hash|mt_/)
  })

  test.each(['abc', '1.5', '-1', '0', '1e3', '99999999999999999999', '%20'])('the id %p: 400', async id => {
    expectError(
      await app.call('DELETE', `${TOKENS}/${id}`, { auth: basic() }),
      400,
      'bad_request',
      /^id: expected/,
    )
  })
})

describe('scopes', () => {
  test.each([
    ['tokens:read:*', [200, 403, 403]],
    ['tokens:write:create', [403, 201, 403]],
    ['tokens:write:delete', [403, 403, 404]],
    ['tokens:*', [200, 201, 404]],
    ['credentials:read:*', [403, 403, 403]],
  ])('%s', async (scope, statuses) => {
    const clientId = `scoped-${scope.replaceAll(/[^a-z]/g, '-')}`
    const { body } = await app.call('POST', '/api/v1/credentials', {
      auth: basic(),
      json: { client_id: clientId, scopes: [scope] },
    })
    const auth = basic(clientId, String(body.client_secret))
    const answers = [
      await app.call('GET', TOKENS, { auth }),
      await app.call('POST', TOKENS, { auth, json: {} }),
      await app.call('DELETE', `${TOKENS}/12345`, { auth }),
    ]
    expect(answers.map(answer => answer.status)).toEqual(statuses)
  })
})
