/** Contacts, groups and platforms over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import { expectError } from '../support/expect-error.ts'
import { ANN, PLATFORM } from '../support/fake-services.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
})
beforeEach(() => {
  app.failures.directory = undefined
})
afterAll(() => app.destroy())

const DEVICE = '/api/v1/devices/237123456789'
const get = (path: string) => app.call('GET', path, { auth })

test('platforms', async () => {
  const { status, body } = await get('/api/v1/platforms')
  expect([status, body.list]).toEqual([200, [PLATFORM]])
})

describe('contacts', () => {
  test('are listed, a hundred at most unless asked otherwise', async () => {
    expect((await get(`${DEVICE}/contacts`)).body.list).toEqual([ANN])
    expect(app.asked.at(-1)).toEqual({
      deviceId: '237123456789',
      platform: null,
      query: undefined,
      limit: 100,
    })
    await get(`${DEVICE}/contacts?platform=wa&query=an%20n&limit=7`)
    expect(app.asked.at(-1)).toEqual({ deviceId: '237123456789', platform: 'wa', query: 'an n', limit: 7 })
  })

  test('come in pages for whoever names a cursor, which is empty at first', async () => {
    expect((await get(`${DEVICE}/contacts?cursor=&limit=7`)).body).toEqual({ data: [ANN], next: null })
    const cursor = btoa(JSON.stringify(['Ann', '49'])).replaceAll('=', '')
    await get(`${DEVICE}/contacts?cursor=${cursor}`)
    expect(app.asked.at(-1)).toMatchObject({ after: ['Ann', '49'], limit: 100 })
    const wrong = await get(`${DEVICE}/contacts?cursor=x`)
    expectError(wrong, 400, 'bad_request', 'cursor: expected the next of an earlier answer of this list')
  })

  test.each(['0', '1001', 'x', '-1'])('limit=%s is refused', async limit => {
    const answer = await get(`${DEVICE}/contacts?limit=${limit}`)
    expectError(answer, 400, 'bad_request', 'limit: expected a whole number from 1 to 1000')
  })
})

test('groups', async () => {
  const { body } = await get(`${DEVICE}/groups`)
  expect(body.list).toEqual([
    { id: '1@g.us', chat_id: 'chat_1', name: 'Friends', kind: 'group', room: '!g:localhost' },
  ])
})

describe('a check', () => {
  test.each([
    ['4915112345678', '4915112345678'],
    ['%2B49%20151%2012345678', '+49 151 12345678'],
    ['%40whatsapp_49%3Alocalhost', '@whatsapp_49:localhost'],
    ['5f0c-11%2F22', '5f0c-11/22'],
  ])('of %s', async (written, identifier) => {
    const { status, body } = await get(`${DEVICE}/contacts/${written}?platform=wa`)
    expect([status, body]).toEqual([200, { exists: true, ...ANN }])
    expect(app.asked.at(-1)).toEqual({ deviceId: '237123456789', platform: 'wa', identifier })
  })

  test.each([
    ['not_found', 404],
    ['not_supported', 501],
    ['bridge_error', 502],
    ['bridge_unavailable', 503],
    ['bridge_timeout', 504],
  ] as const)('that fails: %s', async (code, status) => {
    app.failures.directory = new GatewayError(code, 'so it is')
    for (const path of ['contacts', 'contacts/49', 'groups'])
      expectError(
        await app.call('GET', `${DEVICE}/${path}`, { auth, undocumented: path === 'groups' }),
        ...([status, code, 'so it is'] as const),
      )
  })
})

describe('a check of several', () => {
  const check = (json: unknown) => app.call('POST', `${DEVICE}/contacts/check?platform=wa`, { auth, json })

  test('answers each, in order', async () => {
    const numbers = ['+49 151 12345678', '@ann', '237']
    const { status, body } = await check({ numbers })
    expect([status, body as unknown]).toEqual([
      200,
      { data: numbers.map(number => ({ number, exists: true, ...ANN })) },
    ])
    expect(app.asked.at(-1)).toEqual({ deviceId: '237123456789', platform: 'wa', numbers })
  })

  test.each([
    [{}, 'Missing required field: numbers'],
    [{ numbers: '4915' }, 'numbers: expected a list of 1 to 20'],
    [{ numbers: [] }, 'numbers: expected a list of 1 to 20'],
    [{ numbers: Array(21).fill('4915') }, 'numbers: expected a list of 1 to 20'],
    [{ numbers: ['4915', ''] }, 'numbers.1: expected text of 1 to 255 characters'],
    [{ numbers: ['4915', 5] }, 'numbers.1: expected text'],
    [{ numbers: ['4915'], limit: 1 }, 'limit'],
  ])('refuses %j', async (json, says) => {
    expectError(await check(json), 400, 'bad_request', says)
  })

  test('that comes too soon says when', async () => {
    app.failures.directory = new GatewayError('too_many_requests', 'so it is', 5.2)
    const answer = await check({ numbers: ['4915'] })
    expectError(answer, 429, 'too_many_requests', 'so it is')
    expect(answer.headers.get('retry-after')).toBe('6')
  })
})

test.each(['/api/v1/platforms', `${DEVICE}/contacts`, `${DEVICE}/contacts/49`, `${DEVICE}/groups`])(
  '%s needs a token that is known',
  async path => {
    expectError(await app.call('GET', path), 401, 'unauthorized')
    expectError(await app.call('GET', path, { auth: 'Bearer mt_x' }), 403, 'forbidden')
  },
)
