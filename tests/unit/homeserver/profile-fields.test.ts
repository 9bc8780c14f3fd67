/** Profiles take fields of any kind, one by one or several at once, from their own user only. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Loose, serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer

beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob', 'gw_carol', 'gw_dave')
})
afterAll(() => server.close())

const IDENTIFIERS = 'com.beeper.bridge.identifiers'
const path = (as: string, ...key: string[]) => ['/profile', userId(as), ...key].join('/')
const read = async (of: string) => (await server.call('GET', path(of), undefined, { as: 'gw_bob' })).body
const put = (as: string, key: string, body: Loose) => server.call('PUT', path(as, key), body, { as })
const patch = (as: string, body: Loose) => server.call('PATCH', path(as), body, { as })

test('one field is put, read and deleted, whichever path it has', async () => {
  const as = 'gw_alice'
  const unstable = `/_matrix/client/unstable/uk.tcpip.msc4133${path(as, 'm.tz')}`
  expect((await put(as, 'm.tz', { 'm.tz': 'Europe/Paris' })).body).toEqual({})
  expect((await server.call('GET', unstable, undefined, { as })).body).toEqual({ 'm.tz': 'Europe/Paris' })
  await server.call('PUT', unstable, { 'm.tz': { deep: [1.5, null] } }, { as })
  expect((await server.call('GET', path(as, 'm.tz'), undefined, { as: 'gw_bob' })).body).toEqual({
    'm.tz': { deep: [1.5, null] },
  })
  await put(as, 'org.example.nothing', { 'org.example.nothing': null })
  expect(await read(as)).toEqual({ 'm.tz': { deep: [1.5, null] }, 'org.example.nothing': null })
  await server.call('DELETE', unstable, undefined, { as })
  await server.call('DELETE', path(as, 'org.example.nothing'), undefined, { as })
  expect(await read(as)).toEqual({})
  const gone = await server.call('GET', path(as, 'm.tz'), undefined, { as })
  expect([gone.status, gone.get('errcode')]).toEqual([404, 'M_NOT_FOUND'])
})

test('several fields are changed at once, and last', async () => {
  const as = 'gw_bob'
  await patch(as, { displayname: 'Bob', [IDENTIFIERS]: ['tel:+237600000001'], 'm.tz': 'Africa/Douala' })
  await server.restart()
  await server.appservice('gw')
  expect(await read(as)).toEqual({
    displayname: 'Bob',
    [IDENTIFIERS]: ['tel:+237600000001'],
    'm.tz': 'Africa/Douala',
  })
  await patch(as, { [IDENTIFIERS]: [], 'm.tz': null })
  expect(await read(as)).toEqual({ displayname: 'Bob', [IDENTIFIERS]: [] })
})

test('name and avatar reach the rooms, other fields don’t', async () => {
  const as = 'gw_carol'
  const roomId = await server.room(as)
  await patch(as, { displayname: 'Carol', 'm.tz': 'Europe/Paris' })
  const member = () =>
    server.call('GET', `/rooms/${roomId}/state/m.room.member/${userId(as)}`, undefined, { as })
  expect((await member()).body).toEqual({ membership: 'join', displayname: 'Carol' })
  await server.call('DELETE', path(as, 'displayname'), undefined, { as })
  expect((await member()).body).toEqual({ membership: 'join' })
  expect((await server.call('GET', path(as, 'displayname'))).body).toEqual({})
})

test('null removes a name as it does any field', async () => {
  const as = 'gw_carol'
  await patch(as, { displayname: 'Carol', 'm.tz': 'Europe/Paris' })
  expect((await patch(as, { displayname: null, 'm.tz': null })).status).toBe(200)
  expect(await read(as)).toEqual({})
})

test('a field may be called as what every object has', async () => {
  const as = 'gw_carol'
  const field = () => server.call('GET', path(as, 'constructor'), undefined, { as })
  expect((await field()).status).toBe(404)
  expect((await put(as, 'constructor', {})).get('errcode')).toBe('M_MISSING_PARAM')
  await put(as, 'constructor', { constructor: 'x' })
  expect((await field()).body).toEqual({ constructor: 'x' })
  await patch(as, { constructor: null })
  expect(await read(as)).toEqual({})
})

describe('refused is', () => {
  const as = 'gw_dave'

  test.each<[what: string, call: () => ReturnType<typeof put>, status: number, errcode: string]>([
    [
      'another’s',
      () => server.call('PUT', path(as, 'm.tz'), { 'm.tz': 1 }, { as: 'gw_bob' }),
      403,
      'M_FORBIDDEN',
    ],
    ['all of another’s', () => server.call('PATCH', path(as), {}, { as: 'gw_bob' }), 403, 'M_FORBIDDEN'],
    ['a field without its value', () => put(as, 'm.tz', { other: 1 }), 400, 'M_MISSING_PARAM'],
    ['a key with capitals', () => put(as, 'M.tz', { 'M.tz': 1 }), 400, 'M_INVALID_PARAM'],
    ['a key that begins with _', () => patch(as, { _tz: 1 }), 400, 'M_INVALID_PARAM'],
    ['a long key', () => put(as, 'k'.repeat(256), {}), 400, 'M_KEY_TOO_LARGE'],
    ['a name that is no text', () => patch(as, { displayname: 7 }), 400, 'M_BAD_JSON'],
    ['a long name', () => put(as, 'displayname', { displayname: 'x'.repeat(257) }), 400, 'M_BAD_JSON'],
    [
      'a large profile',
      () => patch(as, { a: 'x'.repeat(40_000), b: 'é'.repeat(20_000) }),
      400,
      'M_PROFILE_TOO_LARGE',
    ],
    ['an unknown user', () => server.call('GET', path('gw_nobody', 'm.tz')), 404, 'M_NOT_FOUND'],
  ])('%s', async (_, call, status, errcode) => {
    const answer = await call()
    expect([answer.status, answer.get('errcode')]).toEqual([status, errcode])
    expect(await read(as)).toEqual({})
  })
})

test('a picture that only a field names is kept', async () => {
  const as = 'gw_dave'
  const upload = await server.call('POST', '/_matrix/media/v3/upload', 'picture', { as })
  const uri = upload.text('content_uri')
  await put(as, 'org.example.banner', { 'org.example.banner': uri })
  const forget = () => server.hs.forgetMedia(Date.now() + 1_000, new AbortController().signal)
  expect(await forget()).toBe(0)
  await server.call('DELETE', path(as, 'org.example.banner'), undefined, { as })
  expect(await forget()).toBe(1)
})
