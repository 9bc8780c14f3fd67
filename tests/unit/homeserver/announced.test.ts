/** The server answers every endpoint of the client-server API versions it announces. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { serverWith, type TestServer, userId } from './harness.ts'

let server: TestServer
let roomId = ''
let eventId = ''

beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob')
  roomId = await server.room('gw_alice')
  eventId = (await server.send(roomId, 'gw_alice', 'hello')).text('event_id')
})
afterAll(() => server.close())

const path = (template: string) =>
  template
    .replace('{roomId}', encodeURIComponent(roomId))
    .replace('{roomIdOrAlias}', encodeURIComponent(roomId))
    .replace('{eventId}', encodeURIComponent(eventId))
    .replace('{roomAlias}', encodeURIComponent('#none:hs.test'))
    .replace('{userId}', userId('gw_alice'))
    .replace('{kind}', 'override')
    .replace('{eventType}', 'm.test')
    .replace('{relType}', 'm.thread')
    .replace('{receiptType}', 'm.read')
    .replace('{keyName}', 'm.tz')
    .replace('{serverName}', 'hs.test')
    .replaceAll(/\{\w+\}/g, '1')

/** Paths below /_matrix/client/v3, and below r0 in older versions. */
const V3 = `
GET /login
POST /login
GET /login/sso/redirect
GET /login/sso/redirect/{idpId}
POST /refresh
POST /logout
POST /logout/all
GET /auth/{authType}/fallback/web
POST /register
GET /register/available
POST /register/email/requestToken
POST /register/msisdn/requestToken
POST /account/password
POST /account/password/email/requestToken
POST /account/password/msisdn/requestToken
POST /account/deactivate
GET /account/whoami
GET /account/3pid
POST /account/3pid
POST /account/3pid/add
POST /account/3pid/bind
POST /account/3pid/delete
POST /account/3pid/unbind
POST /account/3pid/email/requestToken
POST /account/3pid/msisdn/requestToken
GET /capabilities
POST /user/{userId}/filter
GET /user/{userId}/filter/{filterId}
GET /sync
GET /events
GET /events/{eventId}
GET /initialSync
GET /rooms/{roomId}/initialSync
GET /rooms/{roomId}/event/{eventId}
GET /rooms/{roomId}/joined_members
GET /rooms/{roomId}/members
GET /rooms/{roomId}/state
GET /rooms/{roomId}/state/{eventType}/{stateKey}
GET /rooms/{roomId}/messages?dir=b
PUT /rooms/{roomId}/state/{eventType}/{stateKey}
PUT /rooms/{roomId}/send/{eventType}/{txnId}
PUT /rooms/{roomId}/redact/{eventId}/{txnId}
POST /createRoom
GET /directory/room/{roomAlias}
PUT /directory/room/{roomAlias}
DELETE /directory/room/{roomAlias}
GET /rooms/{roomId}/aliases
GET /joined_rooms
POST /rooms/{roomId}/invite
POST /rooms/{roomId}/join
POST /join/{roomIdOrAlias}
POST /knock/{roomIdOrAlias}
POST /rooms/{roomId}/leave
POST /rooms/{roomId}/forget
POST /rooms/{roomId}/kick
POST /rooms/{roomId}/ban
POST /rooms/{roomId}/unban
GET /directory/list/room/{roomId}
PUT /directory/list/room/{roomId}
PUT /directory/list/appservice/{networkId}/{roomId}
GET /publicRooms
POST /publicRooms
POST /user_directory/search
GET /profile/{userId}
PATCH /profile/{userId}
GET /profile/{userId}/{keyName}
PUT /profile/{userId}/{keyName}
DELETE /profile/{userId}/{keyName}
GET /profile/{userId}/displayname
PUT /profile/{userId}/displayname
GET /profile/{userId}/avatar_url
PUT /profile/{userId}/avatar_url
GET /voip/turnServer
PUT /rooms/{roomId}/typing/{userId}
POST /rooms/{roomId}/receipt/{receiptType}/{eventId}
POST /rooms/{roomId}/read_markers
GET /presence/{userId}/status
PUT /presence/{userId}/status
PUT /sendToDevice/{eventType}/{txnId}
GET /devices
GET /devices/{deviceId}
PUT /devices/{deviceId}
DELETE /devices/{deviceId}
POST /delete_devices
POST /keys/upload
POST /keys/query
POST /keys/claim
GET /keys/changes?from=s1&to=s1
POST /keys/device_signing/upload
POST /keys/signatures/upload
GET /room_keys/version
POST /room_keys/version
GET /room_keys/version/{version}
PUT /room_keys/version/{version}
DELETE /room_keys/version/{version}
GET /room_keys/keys
PUT /room_keys/keys
DELETE /room_keys/keys
GET /room_keys/keys/{roomId}
PUT /room_keys/keys/{roomId}
DELETE /room_keys/keys/{roomId}
GET /room_keys/keys/{roomId}/{sessionId}
PUT /room_keys/keys/{roomId}/{sessionId}
DELETE /room_keys/keys/{roomId}/{sessionId}
GET /pushers
POST /pushers/set
GET /notifications
GET /pushrules/
GET /pushrules/global/{kind}/{ruleId}
PUT /pushrules/global/{kind}/{ruleId}
DELETE /pushrules/global/{kind}/{ruleId}
GET /pushrules/global/{kind}/{ruleId}/enabled
PUT /pushrules/global/{kind}/{ruleId}/enabled
GET /pushrules/global/{kind}/{ruleId}/actions
PUT /pushrules/global/{kind}/{ruleId}/actions
POST /search
GET /user/{userId}/rooms/{roomId}/tags
PUT /user/{userId}/rooms/{roomId}/tags/{tag}
DELETE /user/{userId}/rooms/{roomId}/tags/{tag}
GET /user/{userId}/account_data/{type}
PUT /user/{userId}/account_data/{type}
GET /user/{userId}/rooms/{roomId}/account_data/{type}
PUT /user/{userId}/rooms/{roomId}/account_data/{type}
GET /admin/whois/{userId}
GET /rooms/{roomId}/context/{eventId}
POST /rooms/{roomId}/report/{eventId}
GET /thirdparty/protocols
GET /thirdparty/protocol/{protocol}
GET /thirdparty/location
GET /thirdparty/location/{protocol}
GET /thirdparty/user
GET /thirdparty/user/{protocol}
POST /user/{userId}/openid/request_token
POST /rooms/{roomId}/upgrade
`

/** Paths below /_matrix/media/v3, and below r0 in older versions. */
const MEDIA = `
GET /config
GET /preview_url
POST /upload
GET /download/{serverName}/{mediaId}
GET /download/{serverName}/{mediaId}/{fileName}
GET /thumbnail/{serverName}/{mediaId}
`

const OTHERS = `
GET /_matrix/client/versions
GET /_matrix/client/v1/register/m.login.registration_token/validity
GET /_matrix/client/v1/rooms/{roomId}/hierarchy
GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}
GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}
GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}
GET /_matrix/client/v1/rooms/{roomId}/threads
GET /_matrix/static/client/login/
`

const below = (base: string, table: string): [method: string, path: string][] =>
  table
    .trim()
    .split('\n')
    .map(line => line.split(' '))
    .map(([method = '', rest = '']) => [method, base + rest])

const endpoints = [
  ...['v3', 'r0'].flatMap(version => [
    ...below(`/_matrix/client/${version}`, V3),
    ...below(`/_matrix/media/${version}`, MEDIA),
  ]),
  ...below('', OTHERS),
]

const call = (method: string, template: string, body?: unknown) =>
  server.call(method, path(template), body, { as: 'gw_alice' })

test('the versions are those that bridges need', async () => {
  const answer = await server.call('GET', '/_matrix/client/versions', undefined, { token: null })
  expect(answer.get('versions')).toEqual(['r0.6.0', 'r0.6.1', 'v1.1', 'v1.2', 'v1.3', 'v1.4'])
  for (const feature of ['com.beeper.arbitrary_profile_meta', 'uk.tcpip.msc4133.stable'])
    expect(answer.get('unstable_features', feature)).toBe(true)
})

test.each(endpoints)('%s %s is known', async (method, template) => {
  const answer = await call(method, template, method === 'GET' ? undefined : {})
  expect(answer.get('errcode')).not.toBe('M_UNRECOGNIZED')
  expect(answer.status).not.toBe(405)
  expect(answer.status).toBeLessThan(500)
})

describe('of what this server has none', () => {
  test.each([
    '/voip/turnServer',
    '/thirdparty/protocols',
    '/pushers',
    '/notifications',
    '/account/3pid',
    '/admin/whois/{userId}',
    '/_matrix/client/v1/media/preview_url',
    '/_matrix/media/v3/preview_url',
  ])('GET %s answers that there is none', async template => {
    expect((await call('GET', template)).status).toBe(200)
  })

  test.each<[method: string, template: string, status: number, errcode: string]>([
    ['GET', '/room_keys/version', 404, 'M_NOT_FOUND'],
    ['GET', '/thirdparty/protocol/irc', 404, 'M_NOT_FOUND'],
    ['POST', '/search', 403, 'M_FORBIDDEN'],
    ['PUT', '/directory/list/room/{roomId}', 403, 'M_FORBIDDEN'],
    ['POST', '/pushers/set', 403, 'M_FORBIDDEN'],
  ])('%s %s is refused', async (method, template, status, errcode) => {
    const answer = await call(method, template, method === 'GET' ? undefined : {})
    expect([answer.status, answer.get('errcode')]).toEqual([status, errcode])
  })

  test.each<[method: string, template: string, status: number, errcode: string]>([
    ['POST', '/refresh', 401, 'M_UNKNOWN_TOKEN'],
    ['POST', '/register/email/requestToken', 403, 'M_THREEPID_DENIED'],
    ['GET', '/register/available?username=a', 403, 'M_FORBIDDEN'],
    ['GET', '/login/sso/redirect', 404, 'M_NOT_FOUND'],
  ])('%s %s is refused without an account, too', async (method, template, status, errcode) => {
    const answer = await server.call(method, template, undefined, { token: null })
    expect([answer.status, answer.get('errcode')]).toEqual([status, errcode])
  })

  test('a pusher that is to go is gone, and a room that is to be private is', async () => {
    expect((await call('POST', '/pushers/set', { kind: null })).status).toBe(200)
    const hidden = await call('PUT', '/directory/list/room/{roomId}', { visibility: 'private' })
    expect(hidden.status).toBe(200)
  })
})

describe('the hierarchy', () => {
  const hierarchy = (id: string, query: Record<string, string> = {}, as = 'gw_alice') => {
    const rooms = `/_matrix/client/v1/rooms/${encodeURIComponent(id)}/hierarchy`
    return server.call('GET', rooms, undefined, { as, query })
  }
  const space = async (children: string[], wish: object = {}) => {
    const made = await server.room('gw_alice', [], { creation_content: { type: 'm.space' }, ...wish })
    for (const [at, child] of children.entries()) {
      const content = { via: ['hs.test'], order: String(at), suggested: at === 0 }
      await server.call(
        'PUT',
        `/rooms/${encodeURIComponent(made)}/state/m.space.child/${encodeURIComponent(child)}`,
        content,
        { as: 'gw_alice' },
      )
    }
    return made
  }
  const idsOf = (answer: Awaited<ReturnType<typeof hierarchy>>) =>
    answer.list('rooms').map(({ room_id: id }) => id)

  test('of a room is the room', async () => {
    const id = await server.room('gw_alice', ['gw_bob'], { name: 'A room', topic: 'A topic' })
    expect((await hierarchy(id)).body).toEqual({
      rooms: [
        {
          room_id: id,
          name: 'A room',
          topic: 'A topic',
          join_rule: 'invite',
          num_joined_members: 2,
          guest_can_join: false,
          world_readable: false,
          children_state: [],
        },
      ],
    })
  })

  test('of a space has its rooms in their order, those of inner spaces behind these', async () => {
    const [first, second, inner] = [
      await server.room('gw_alice'),
      await server.room('gw_alice'),
      await server.room('gw_alice'),
    ]
    const nested = await space([inner])
    const outer = await space([second, nested, first, '!none:hs.test'])
    const whole = await hierarchy(outer)
    expect(idsOf(whole)).toEqual([outer, second, nested, inner, first])
    expect(whole.get('rooms', 0, 'room_type')).toBe('m.space')
    expect(whole.list('rooms', 0, 'children_state').map(child => child.state_key)).toEqual([
      second,
      nested,
      first,
      '!none:hs.test',
    ])
    expect(typeof whole.get('rooms', 0, 'children_state', 0, 'origin_server_ts')).toBe('number')
    expect(idsOf(await hierarchy(outer, { max_depth: '1' }))).toEqual([outer, second, nested, first])
    expect(idsOf(await hierarchy(outer, { suggested_only: 'true' }))).toEqual([outer, second])
    const page = await hierarchy(outer, { limit: '2' })
    expect(idsOf(page)).toEqual([outer, second])
    const next = await hierarchy(outer, { limit: '9', from: page.text('next_batch') })
    expect([idsOf(next), next.get('next_batch')]).toEqual([[nested, inner, first], undefined])
  })

  test('shows nobody a room that they may not see, and ends in spaces within each other', async () => {
    const hidden = await server.room('gw_alice')
    const open = await server.room('gw_alice', [], { preset: 'public_chat' })
    const outer = await space([hidden, open], { preset: 'public_chat' })
    const itself = `/rooms/${encodeURIComponent(outer)}/state/m.space.child/${encodeURIComponent(outer)}`
    await server.call('PUT', itself, { via: ['hs.test'] }, { as: 'gw_alice' })
    expect(idsOf(await hierarchy(outer, {}, 'gw_bob'))).toEqual([outer, open])
    expect((await hierarchy(hidden, {}, 'gw_bob')).get('errcode')).toBe('M_FORBIDDEN')
    const ban = { user_id: userId('gw_bob') }
    await server.call('POST', `/rooms/${encodeURIComponent(open)}/ban`, ban, { as: 'gw_alice' })
    expect(idsOf(await hierarchy(outer, {}, 'gw_bob'))).toEqual([outer])
    expect((await hierarchy('!none:hs.test')).get('errcode')).toBe('M_FORBIDDEN')
    expect((await hierarchy(outer, { from: 'x' })).status).toBe(400)
  })
})
