/** Bodies that the server can't store unchanged, or that would take long to check. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { serverWith, type TestServer } from './harness.ts'

let server: TestServer
let room: string

beforeAll(async () => {
  server = await serverWith('gw_alice')
  room = encodeURIComponent(await server.room('gw_alice'))
})
afterAll(() => server.close())

const ALICE = { as: 'gw_alice' }
type Place = [call: string, method: string, path: () => string]
const EVENTS: [Place, ...Place[]] = [
  ['a message', 'PUT', () => `/rooms/${room}/send/m.room.message/t1`],
  ['a state event', 'PUT', () => `/rooms/${room}/state/m.room.topic`],
  ['a redaction', 'PUT', () => `/rooms/${room}/redact/%24none/t2`],
  ['a new room', 'POST', () => '/createRoom'],
]
const OTHERS: Place[] = [
  ['account data', 'PUT', () => '/user/@gw_alice:hs.test/account_data/m.test'],
  ['to-device messages', 'PUT', () => '/sendToDevice/m.test/t3'],
  ['keys', 'POST', () => '/keys/upload'],
  ['a filter', 'POST', () => '/user/@gw_alice:hs.test/filter'],
]

describe('JSON that storing would change is M_BAD_JSON', () => {
  for (const [what, method, path] of [...EVENTS, ...OTHERS])
    for (const value of ['1e400', '9007199254740992', '-9007199254740993', '"\\ud800"', '"\\udc00\\ud800"'])
      test(`${value} in ${what}`, async () => {
        const answer = await server.call(method, path(), `{"a":[{"b":${value}}]}`, ALICE)
        expect([answer.status, answer.get('errcode')]).toEqual([400, 'M_BAD_JSON'])
      })

  test('half a character in a name', async () => {
    const [[, method, path]] = EVENTS
    const answer = await server.call(method, path(), '{"a":{"\\ud800":1}}', ALICE)
    expect(answer.get('errcode')).toBe('M_BAD_JSON')
  })
})

test.each(['1.5', '1.0', '1e2', '-0.1'])('an event takes no %s, account data does', async number => {
  for (const [, method, path] of EVENTS) {
    const answer = await server.call(method, path(), `{"a":${number}}`, ALICE)
    expect([answer.status, answer.get('errcode')]).toEqual([400, 'M_BAD_JSON'])
    expect(answer.text('error')).toContain(number)
  }
  const tag = await server.call(
    'PUT',
    `/user/@gw_alice:hs.test/rooms/${room}/tags/m.favourite`,
    `{"order":${number}}`,
    ALICE,
  )
  expect(tag.status).toBe(200)
})

test('what only looks so is taken as it is', async () => {
  const content = { body: '1e400 "\\ud83d" 1.5', '9.5': '\u{1f600}', max: 2 ** 53 - 1, min: 1 - 2 ** 53 }
  const escaped = JSON.stringify(content).replace('\u{1f600}', '\\uD83D\\uDE00')
  const sent = await server.call('PUT', `/rooms/${room}/send/m.test/t4`, escaped, ALICE)
  const read = await server.call(
    'GET',
    `/rooms/${room}/event/${encodeURIComponent(sent.text('event_id'))}`,
    undefined,
    ALICE,
  )
  expect(read.get('content')).toEqual(content)
})

test('a body nested thousands of levels deep is refused before it is parsed, wherever it is sent', async () => {
  const deep = `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
  for (const [, method, path] of [...EVENTS, ...OTHERS]) {
    const answer = await server.call(method, path(), deep, ALICE)
    expect([answer.status, answer.get('errcode')]).toEqual([400, 'M_BAD_JSON'])
  }
})

test('a body of a hundred thousand fields is M_TOO_LARGE', async () => {
  const fields = JSON.stringify(Object.fromEntries(Array.from({ length: 70_000 }, (_, at) => [`f${at}`, 0])))
  for (const [, method, path] of [...EVENTS, ...OTHERS]) {
    const answer = await server.call(method, path(), fields, ALICE)
    expect([answer.status, answer.get('errcode')]).toEqual([413, 'M_TOO_LARGE'])
  }
})

test('a body that is not UTF-8 is M_NOT_JSON', async () => {
  const response = await server.raw('POST', '/_matrix/client/v3/createRoom', {
    headers: { authorization: 'Bearer as_gw' },
    body: Buffer.from('{"name":"caf\xe9"}', 'latin1'),
  })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ errcode: 'M_NOT_JSON', error: 'The body is not UTF-8' })
})

describe('null in an optional field is as if it were not there', () => {
  const at = (path: string) => path.replace('{room}', room)
  const nulls = (names: string) => Object.fromEntries(names.split(' ').map(name => [name, null]))
  const calls: [method: string, path: string, body: Record<string, unknown>][] = [
    [
      'POST',
      '/createRoom',
      {
        ...nulls('preset visibility name topic room_alias_name room_version invite is_direct'),
        ...nulls('creation_content power_level_content_override'),
        initial_state: [{ type: 'm.test', state_key: null, content: { kept: null } }],
      },
    ],
    ['POST', '/rooms/{room}/invite', { user_id: '@gw_bob:hs.test', reason: null }],
    ['POST', '/rooms/{room}/kick', { user_id: '@gw_bob:hs.test', reason: null }],
    ['POST', '/rooms/{room}/ban', { user_id: '@gw_bob:hs.test', reason: null }],
    ['POST', '/rooms/{room}/unban', { user_id: '@gw_bob:hs.test', reason: null }],
    ['POST', '/rooms/{room}/join', { reason: null }],
    ['POST', '/rooms/{room}/receipt/m.read/%24event', { thread_id: null }],
    ['POST', '/rooms/{room}/read_markers', nulls('m.fully_read m.read m.read.private')],
    ['PUT', '/rooms/{room}/typing/@gw_alice:hs.test', { typing: true, timeout: null }],
    ['PUT', '/presence/@gw_alice:hs.test/status', { presence: 'online', status_msg: null }],
    ['PUT', '/profile/@gw_alice:hs.test/displayname', { displayname: null }],
    ['POST', '/user_directory/search', { search_term: 'x', limit: null }],
    ['POST', '/user/@gw_alice:hs.test/filter', { room: { timeline: { limit: null, types: null } } }],
    ['POST', '/keys/device_signing/upload', nulls('master_key self_signing_key user_signing_key')],
  ]
  for (const [method, path, body] of calls)
    test(`${method} ${path}`, async () => {
      const answer = await server.call(method, at(path), body, ALICE)
      expect([answer.status, answer.body]).toMatchObject([200, {}])
    })

  test('but stays in what is the sender’s own', async () => {
    const made = await server.call(
      'POST',
      '/createRoom',
      { initial_state: [{ type: 'm.test', content: { kept: null } }] },
      ALICE,
    )
    const id = encodeURIComponent(made.text('room_id'))
    const state = await server.call('GET', `/rooms/${id}/state/m.test`, undefined, ALICE)
    expect(state.body).toEqual({ kept: null })
  })

  test('a redaction’s reason', async () => {
    const { body } = await server.send(decodeURIComponent(room), 'gw_alice', 'x')
    const id = encodeURIComponent((body as { event_id: string }).event_id)
    const answer = await server.call('PUT', `/rooms/${room}/redact/${id}/t9`, { reason: null }, ALICE)
    expect(answer.status).toBe(200)
  })

  test('registering and logging in', async () => {
    const register = {
      type: 'm.login.application_service',
      username: 'gw_carol',
      ...nulls('inhibit_login device_id initial_device_display_name'),
    }
    expect((await server.call('POST', '/register', register)).status).toBe(200)
    const login = {
      type: 'm.login.application_service',
      identifier: null,
      user: 'gw_carol',
      ...nulls('device_id initial_device_display_name'),
    }
    expect((await server.call('POST', '/login', login)).status).toBe(200)
  })
})
