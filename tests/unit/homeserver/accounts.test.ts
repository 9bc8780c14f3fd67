/** Authentication at the homeserver, and the form of its errors. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob')
  await server.appservice('wa')
})
afterAll(() => server.close())

describe('a closed server', () => {
  test('tells its versions to everyone', async () => {
    const answer = await server.call('GET', '/_matrix/client/versions', undefined, { token: null })
    expect(answer.status).toBe(200)
    expect(answer.get('versions')).toContain('v1.4')
    expect(answer.get('unstable_features')).not.toHaveProperty('com.beeper.hungry')
  })

  test.each([
    ['GET', '/account/whoami'],
    ['GET', '/sync'],
    ['POST', '/createRoom'],
    ['GET', '/capabilities'],
    ['GET', '/profile/@gw_alice:hs.test'],
    ['POST', '/_matrix/media/v3/upload'],
    ['GET', '/_matrix/client/v1/media/download/hs.test/x'],
    ['POST', '/_matrix/client/v1/appservice/gw/ping'],
  ])('refuses %s %s without and with a wrong token', async (method, path) => {
    const none = await server.call(method, path, undefined, { token: null })
    expect([none.status, none.get('errcode')]).toEqual([401, 'M_MISSING_TOKEN'])
    const wrong = await server.call(method, path, undefined, { token: 'nonsense' })
    expect([wrong.status, wrong.get('errcode')]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  })

  test('registers and logs in nobody but users of appservices', async () => {
    for (const body of [{}, { username: 'eve', password: 'x' }, { type: 'm.login.dummy' }]) {
      const stranger = await server.call('POST', '/register', body, { token: null })
      expect([stranger.status, stranger.get('errcode')]).toEqual([401, 'M_MISSING_TOKEN'])
      expect(stranger.text('error')).toContain('only open to application services')
      const answer = await server.call('POST', '/register', body)
      expect([answer.status, answer.get('errcode')]).toEqual([403, 'M_FORBIDDEN'])
    }
    const guest = await server.call('POST', '/register', {}, { token: null, query: { kind: 'guest' } })
    expect(guest.status).toBe(401)
    const bare = await server.call(
      'POST',
      '/register',
      { type: 'm.login.application_service', username: 'gw_eve' },
      { token: null },
    )
    expect([bare.status, bare.get('errcode')]).toEqual([401, 'M_MISSING_TOKEN'])
    const password = await server.call('POST', '/login', {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'gw_alice' },
      password: 'x',
    })
    expect(password.status).toBe(403)
    const flows = await server.call('GET', '/login', undefined, { token: null })
    expect(flows.get('flows')).toEqual([{ type: 'm.login.application_service' }])
  })

  test.each(['/login', '/register'])('reads nothing of what a stranger sends to %s', async path => {
    let asked = 0
    const body = new ReadableStream({
      pull(controller) {
        asked += 1
        controller.enqueue(new Uint8Array(64 * 1024))
      },
    })
    for (const authorization of [undefined, 'Bearer nonsense']) {
      const request = new Request(`http://localhost/_matrix/client/v3${path}`, {
        method: 'POST',
        headers: { 'transfer-encoding': 'chunked', ...(authorization ? { authorization } : {}) },
        body,
      })
      expect((await server.hs.fetch(request)).status).toBe(401)
      expect(request.bodyUsed).toBe(false)
    }
    // A stream reads a little ahead by itself.
    expect(asked).toBeLessThan(3)
  })

  test('answers unknown paths and methods as the specification asks', async () => {
    const unknown = await server.call('GET', '/nothing/here')
    expect([unknown.status, unknown.get('errcode')]).toEqual([404, 'M_UNRECOGNIZED'])
    const method = await server.call('DELETE', '/createRoom')
    expect([method.status, method.get('errcode')]).toEqual([405, 'M_UNRECOGNIZED'])
    const outside = await server.call('GET', '/_matrix/federation/v1/version', undefined, { token: null })
    expect([outside.status, outside.get('errcode')]).toEqual([404, 'M_UNRECOGNIZED'])
  })

  test('names what is wrong with a body', async () => {
    const text = await server.call('POST', '/createRoom', '{"name": ', { as: 'gw_alice' })
    expect([text.status, text.get('errcode')]).toEqual([400, 'M_NOT_JSON'])
    const array = await server.call('POST', '/createRoom', '[]', { as: 'gw_alice' })
    expect([array.status, array.get('errcode')]).toEqual([400, 'M_BAD_JSON'])
    const field = await server.call('POST', '/createRoom', { invite: 'bob' }, { as: 'gw_alice' })
    expect([field.status, field.get('errcode')]).toEqual([400, 'M_BAD_JSON'])
    expect(field.text('error')).toContain('invite')
    const large = await server.call(
      'POST',
      '/createRoom',
      { name: 'x'.repeat(1024 * 1024) },
      { as: 'gw_alice' },
    )
    expect([large.status, large.get('errcode')]).toEqual([413, 'M_TOO_LARGE'])
  })
})

describe('registration by an appservice', () => {
  const register = (username: string, extra = {}, token = 'as_gw') =>
    server.call(
      'POST',
      '/register',
      { type: 'm.login.application_service', username, inhibit_login: true, ...extra },
      { token },
    )

  test('keeps to its namespace', async () => {
    expect((await register('wa_1')).get('errcode')).toBe('M_EXCLUSIVE')
    expect((await register('somebody')).get('errcode')).toBe('M_EXCLUSIVE')
    expect((await register('gw_1')).body).toEqual({ user_id: '@gw_1:hs.test', home_server: 'hs.test' })
  })

  test('refuses names that are taken or invalid', async () => {
    expect((await register('gw_alice')).get('errcode')).toBe('M_USER_IN_USE')
    expect((await register('gw_Älice')).get('errcode')).toBe('M_INVALID_USERNAME')
    expect((await register(`gw_${'x'.repeat(255)}`)).get('errcode')).toBe('M_INVALID_USERNAME')
  })

  test('logs in unless inhibited', async () => {
    const answer = await register('gw_dev', { inhibit_login: false, device_id: 'DEV' })
    expect(answer.get('device_id')).toBe('DEV')
    const who = await server.call('GET', '/account/whoami', undefined, { token: answer.text('access_token') })
    expect(who.body).toEqual({ user_id: '@gw_dev:hs.test', is_guest: false, device_id: 'DEV' })
  })

  test('acts as its users and no others', async () => {
    const own = await server.call('GET', '/account/whoami')
    expect(own.get('user_id')).toBe('@gwbot:hs.test')
    const alice = await server.call('GET', '/account/whoami', undefined, { as: 'gw_alice' })
    expect(alice.get('user_id')).toBe('@gw_alice:hs.test')
    for (const as of ['wabot', 'gw_unregistered', 'nobody']) {
      const other = await server.call('GET', '/account/whoami', undefined, { as })
      expect([other.status, other.get('errcode')]).toEqual([403, 'M_FORBIDDEN'])
    }
  })
})

describe('devices and sessions', () => {
  test('a login makes a device whose token stops with the logout', async () => {
    const { token, deviceId } = await server.logIn('gw_alice')
    const devices = await server.call('GET', '/devices', undefined, { token })
    expect(devices.list('devices').map(device => device.device_id)).toContain(deviceId)
    await server.call('PUT', `/devices/${deviceId}`, { display_name: 'Phone' }, { token })
    const device = await server.call('GET', `/devices/${deviceId}`, undefined, { token })
    expect(device.body).toEqual({ device_id: deviceId, display_name: 'Phone' })
    const other = await server.logIn('gw_alice')
    expect((await server.call('POST', '/logout', {}, { token })).status).toBe(200)
    const after = await server.call('GET', '/account/whoami', undefined, { token })
    expect(after.get('errcode')).toBe('M_UNKNOWN_TOKEN')
    expect((await server.call('GET', '/account/whoami', undefined, { token: other.token })).status).toBe(200)
    await server.call('POST', '/logout/all', {}, { token: other.token })
    expect((await server.call('GET', '/account/whoami', undefined, { token: other.token })).status).toBe(401)
  })

  test('tokens are stored as hashes only', async () => {
    const { token } = await server.logIn('gw_bob')
    const stored = JSON.stringify([
      server.db.query('SELECT * FROM hs_devices').all(),
      server.db.query('SELECT * FROM hs_appservices').all(),
    ])
    expect(stored).not.toContain(token)
    expect(stored).not.toContain('as_gw')
    expect(stored).not.toContain('hs_gw')
  })

  test('an appservice makes, uses and deletes devices of its users', async () => {
    const as = 'gw_bob'
    expect((await server.call('PUT', '/devices/BRIDGE', { display_name: 'b' }, { as })).status).toBe(201)
    expect((await server.call('PUT', '/devices/BRIDGE', {}, { as })).status).toBe(200)
    const who = await server.call('GET', '/account/whoami', undefined, { as, query: { device_id: 'BRIDGE' } })
    expect(who.get('device_id')).toBe('BRIDGE')
    const unknown = await server.call('GET', '/account/whoami', undefined, { as, query: { device_id: 'NO' } })
    expect(unknown.get('errcode')).toBe('M_UNKNOWN_DEVICE')
    const messages = { [userId(as)]: { BRIDGE: {} } }
    await server.call('PUT', '/sendToDevice/m.test/t1', { messages })
    expect((await server.call('DELETE', '/devices/BRIDGE', {}, { as })).status).toBe(200)
    expect(server.db.query("SELECT * FROM hs_to_device WHERE device_id = 'BRIDGE'").all()).toEqual([])
    expect((await server.call('GET', '/devices/BRIDGE', undefined, { as })).status).toBe(404)
  })
})

describe('profiles', () => {
  test('are set by their owner and reach the rooms', async () => {
    const as = 'gw_alice'
    const roomId = await server.room(as, ['gw_bob'])
    const path = `/profile/${userId(as)}`
    expect((await server.call('PUT', `${path}/displayname`, { displayname: 'Alice' }, { as })).status).toBe(
      200,
    )
    await server.call('PUT', `${path}/avatar_url`, { avatar_url: 'mxc://hs.test/a' }, { as })
    const profile = { displayname: 'Alice', avatar_url: 'mxc://hs.test/a' }
    expect((await server.call('GET', path, undefined, { as: 'gw_bob' })).body).toEqual(profile)
    expect((await server.call('GET', `${path}/displayname`)).body).toEqual({ displayname: 'Alice' })
    const members = await server.call('GET', `/rooms/${roomId}/joined_members`, undefined, { as: 'gw_bob' })
    expect(members.get('joined', userId(as))).toEqual({
      display_name: 'Alice',
      avatar_url: 'mxc://hs.test/a',
    })
    const other = await server.call('PUT', `${path}/displayname`, { displayname: 'x' }, { as: 'gw_bob' })
    expect(other.get('errcode')).toBe('M_FORBIDDEN')
    expect((await server.call('GET', '/profile/@nobody:hs.test')).get('errcode')).toBe('M_NOT_FOUND')
    const found = await server.call(
      'POST',
      '/user_directory/search',
      { search_term: 'alic' },
      { as: 'gw_bob' },
    )
    expect(found.list('results').map(result => result.user_id)).toEqual([userId(as)])
    await server.users(['gw_stranger'])
    const stranger = { as: 'gw_stranger' }
    const search = await server.call('POST', '/user_directory/search', { search_term: 'alic' }, stranger)
    expect(search.body).toEqual({ limited: false, results: [] })
  })
})

test('a body that is broken off is no error of ours', async () => {
  const client = new AbortController()
  const body = new ReadableStream({
    pull(controller) {
      client.abort()
      controller.error(client.signal.reason)
    },
  })
  const headers = { authorization: 'Bearer as_gw' }
  const answer = await server.raw('POST', '/_matrix/client/v3/register', {
    body,
    headers,
    signal: client.signal,
  })
  expect([answer.status, await answer.json()]).toMatchObject([400, { errcode: 'M_UNKNOWN' }])
})

test('what can not be stored for want of space is a 507', async () => {
  const full = await serverWith()
  await full.appservice('wa')
  full.fillDisk()
  const register = (index: number) =>
    full.call(
      'POST',
      '/register',
      { type: 'm.login.application_service', username: `wa_${index}` },
      { token: 'as_wa' },
    )
  let answer = await register(0)
  for (let index = 1; answer.status === 200 && index < 1_000; index++) answer = await register(index)
  expect([answer.status, answer.get('errcode'), answer.get('error')]).toEqual([
    507,
    'M_UNKNOWN',
    'There is no space left to store this',
  ])
  await full.close()
})

describe('push rules', () => {
  const ALICE = { as: 'gw_rules' }
  const rule = '/pushrules/global/room/%21room%3Ahs.test'
  beforeAll(() => server.users(['gw_rules']))

  test('are kept, changed, told by a sync, and removed', async () => {
    const put = (path: string, body: unknown) => server.call('PUT', path, body, ALICE)
    expect((await put(rule, { actions: [] })).status).toBe(200)
    const kept = { rule_id: '!room:hs.test', default: false, enabled: true, actions: [] }
    expect((await server.call('GET', rule, undefined, ALICE)).body).toEqual(kept)
    expect((await put(`${rule}/enabled`, { enabled: false })).status).toBe(200)
    expect((await put(`${rule}/actions`, { actions: ['notify'] })).status).toBe(200)
    expect((await server.call('GET', `${rule}/enabled`, undefined, ALICE)).body).toEqual({ enabled: false })
    const sync = await server.call('GET', '/sync', undefined, ALICE)
    const told = sync.list('account_data', 'events').filter(event => event.type === 'm.push_rules')
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      content: { global: { room: [{ enabled: false, actions: ['notify'] }] } },
    })
    expect((await server.call('DELETE', rule, undefined, ALICE)).status).toBe(200)
    expect((await server.call('GET', rule, undefined, ALICE)).status).toBe(404)
  })

  test.each([
    ['PUT', '/pushrules/global/nothing/a', { actions: [] }, 404],
    ['PUT', '/pushrules/global/room/.m.own', { actions: [] }, 400],
    ['PUT', '/pushrules/global/room/a', {}, 400],
    ['PUT', '/pushrules/global/room/none/enabled', { enabled: true }, 404],
    ['DELETE', '/pushrules/global/override/.m.rule.master', undefined, 400],
  ])('%s %s with %p is refused', async (method, path, body, status) => {
    expect((await server.call(method, path, body, ALICE)).status).toBe(status)
  })
})
