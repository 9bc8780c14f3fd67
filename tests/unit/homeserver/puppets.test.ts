/** Rooms in which an appservice may act as users that aren't its own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Answer, FakeAppservice, TestServer, userId } from './harness.ts'

const server = new TestServer()
const AS_PUPPET = { as: 'gw_alice', token: 'as_wa' }
/** Alice's rooms: with a user of the bridge, with another bridge's user, and alone. */
let shared = ''
let foreign = ''
let own = ''
let foreignEvent = ''

beforeAll(async () => {
  const puppets = [{ regex: userId('gw_.*'), exclusive: false }]
  await server.appservice('gw')
  for (const prefix of ['wa', 'sg'])
    await server.appservice(prefix, {
      deliver: new FakeAppservice().deliver,
      namespaces: { users: [{ regex: userId(`${prefix}_.*`), exclusive: true }], puppets },
    })
  await server.users(['gw_alice', 'gw_bob'])
  await server.users(['wa_1'], 'as_wa')
  await server.users(['sg_1'], 'as_sg')
  shared = await roomWith('wa_1', 'as_wa')
  foreign = await roomWith('sg_1', 'as_sg')
  own = await server.room('gw_alice')
  const sent = await server.send(foreign, 'gw_alice', 'secret')
  foreignEvent = encodeURIComponent(sent.text('event_id'))
})
afterAll(() => server.close())

async function roomWith(ghost: string, token: string): Promise<string> {
  const roomId = await server.room('gw_alice', [], { invite: [userId(ghost)] })
  await server.join(roomId, ghost, token)
  return roomId
}

const asPuppet = (method: string, path: string, body?: unknown, query: Record<string, string> = {}) =>
  server.call(method, path, body, { ...AS_PUPPET, query })

const inRoom = (roomId: string) => `/rooms/${encodeURIComponent(roomId)}`

type Case = [method: string, path: (room: string) => string, body?: unknown]
const calls: Case[] = [
  ['GET', room => `${room}/messages`],
  ['GET', room => `${room}/state`],
  ['GET', room => `${room}/state/m.room.create`],
  ['GET', room => `${room}/members`],
  ['GET', room => `${room}/joined_members`],
  ['GET', room => `${room}/aliases`],
  ['GET', room => `${room}/event/${foreignEvent}`],
  ['GET', room => `${room}/context/${foreignEvent}`],
  ['GET', room => `/_matrix/client/v1${room}/relations/${foreignEvent}`],
  ['GET', room => `/_matrix/client/v1${room}/threads`],
  ['GET', room => `/_matrix/client/v1${room}/hierarchy`],
  ['PUT', room => `${room}/send/m.room.message/1`, { msgtype: 'm.text', body: 'x' }],
  ['PUT', room => `${room}/state/m.room.topic`, { topic: 'x' }],
  ['PUT', room => `${room}/redact/${foreignEvent}/2`, {}],
  ['PUT', room => `${room}/typing/${userId('gw_alice')}`, { typing: true }],
  ['POST', room => `${room}/receipt/m.read/${foreignEvent}`, {}],
  ['POST', room => `${room}/read_markers`, {}],
  ['POST', room => `${room}/invite`, { user_id: userId('wa_1') }],
  ['POST', room => `${room}/kick`, { user_id: userId('sg_1') }],
  ['POST', room => `${room}/ban`, { user_id: userId('sg_1') }],
  ['POST', room => `${room}/join`, {}],
  ['POST', room => `${room}/leave`, {}],
  ['POST', room => `${room}/forget`, {}],
  ['GET', room => `/user/${userId('gw_alice')}${room}/tags`],
  ['PUT', room => `/user/${userId('gw_alice')}${room}/account_data/m.test`, {}],
]

describe('rooms that no user of the bridge is in', () => {
  for (const [method, path, body] of calls)
    test(`${method} ${path('{room}')}`, async () => {
      for (const roomId of [foreign, own, '!none:hs.test'])
        expect(forbiddenOf(await asPuppet(method, path(inRoom(roomId)), body, { dir: 'b' }))).toBe(true)
    })

  test('joining by id, and by alias', async () => {
    const alias = encodeURIComponent('#own:hs.test')
    await server.call('PUT', `/directory/room/${alias}`, { room_id: own }, { as: 'gw_alice' })
    expect(forbiddenOf(await asPuppet('POST', `/join/${encodeURIComponent(own)}`, {}))).toBe(true)
    expect(forbiddenOf(await asPuppet('POST', `/join/${alias}`, {}))).toBe(true)
    expect(forbiddenOf(await asPuppet('POST', `/knock/${alias}`, {}))).toBe(true)
    expect((await asPuppet('POST', `/join/${encodeURIComponent('#none:hs.test')}`, {})).status).toBe(404)
  })

  test('are in no space', async () => {
    const space = await server.room('gw_alice', [], {
      creation_content: { type: 'm.space' },
      invite: [userId('wa_1')],
      initial_state: [shared, foreign].map(child => ({
        type: 'm.space.child',
        state_key: child,
        content: { via: ['hs.test'] },
      })),
    })
    await server.join(space, 'wa_1', 'as_wa')
    const { body } = await asPuppet('GET', `/_matrix/client/v1${inRoom(space)}/hierarchy`)
    const { rooms } = body as { rooms: { room_id: string }[] }
    expect(rooms.map(room => room.room_id)).toEqual([space, shared])
    await server.call('POST', `${inRoom(space)}/leave`, {}, { as: 'wa_1', token: 'as_wa' })
  })

  test('are in no list and in no sync', async () => {
    expect((await asPuppet('GET', '/joined_rooms')).body).toEqual({ joined_rooms: [shared] })
    const sync = await asPuppet('GET', '/sync')
    expect(Object.keys(sync.get('rooms', 'join') as object)).toEqual([shared])
  })
})

test('direct rooms are those that the bridge speaks in, and its changes leave the others alone', async () => {
  const path = `/user/${userId('gw_alice')}/account_data/m.direct`
  const all = { [userId('wa_1')]: [shared], [userId('sg_1')]: [foreign] }
  await server.call('PUT', path, all, { as: 'gw_alice' })
  const seen = { [userId('wa_1')]: [shared] }
  expect((await asPuppet('GET', path)).body).toEqual(seen)
  const sync = await asPuppet('GET', '/sync')
  expect(sync.list('account_data', 'events')).toContainEqual({ type: 'm.direct', content: seen })
  const put = async (content: object) => {
    expect((await asPuppet('PUT', path, content)).status).toBe(200)
    return (await server.call('GET', path, undefined, { as: 'gw_alice' })).body
  }
  expect(await put({})).toEqual({ [userId('sg_1')]: [foreign] })
  expect(await put({ ...seen, [userId('wa_2')]: [own] })).toEqual(all)
})

test('other account data outside rooms is neither shown nor changed', async () => {
  const path = `/user/${userId('gw_alice')}/account_data/m.test`
  const rule = `/pushrules/global/room/${encodeURIComponent(foreign)}`
  const asAlice = { as: 'gw_alice' }
  await server.call('PUT', path, { room: foreign }, asAlice)
  await server.call('PUT', rule, { actions: [] }, asAlice)
  expect((await asPuppet('GET', path)).get('errcode')).toBe('M_NOT_FOUND')
  expect(forbiddenOf(await asPuppet('PUT', path, { mine: true }))).toBe(true)
  for (const rules of ['/pushrules/', `/user/${userId('gw_alice')}/account_data/m.push_rules`])
    expect((await asPuppet('GET', rules)).list('global', 'room')).toEqual([])
  const shown = (await asPuppet('GET', '/sync')).list('account_data', 'events')
  expect(shown.map(event => event.type).sort()).toEqual(['m.direct', 'm.push_rules'])
  expect(JSON.stringify(shown)).not.toContain(foreign)
  expect((await server.call('GET', path, undefined, asAlice)).body).toEqual({ room: foreign })
})

function forbiddenOf(answer: Answer): boolean {
  return answer.status === 403 && answer.get('errcode') === 'M_FORBIDDEN'
}

const refused: Case[] = [
  ['POST', () => '/createRoom', {}],
  ['PUT', () => `/profile/${userId('gw_alice')}/displayname`, { displayname: 'Mallory' }],
  ['PUT', () => `/profile/${userId('gw_alice')}/avatar_url`, { avatar_url: 'mxc://hs.test/a' }],
  ['PUT', () => `/profile/${userId('gw_alice')}/m.tz`, { 'm.tz': 'Europe/Paris' }],
  ['PATCH', () => `/profile/${userId('gw_alice')}`, { 'm.tz': 'Europe/Paris' }],
  ['POST', () => '/user_directory/search', { search_term: 'a' }],
  ['GET', () => '/devices'],
  ['PUT', () => '/devices/NEW', {}],
  ['POST', () => '/delete_devices', { devices: [] }],
  ['POST', () => '/logout/all', {}],
  ['POST', () => '/keys/upload', {}],
  ['POST', () => '/keys/query', { device_keys: {} }],
  ['PUT', () => '/sendToDevice/m.test/1', { messages: {} }],
  ['PUT', () => `/directory/room/${encodeURIComponent('#new:hs.test')}`, { room_id: '!x:hs.test' }],
]
test('has none of the user’s devices', async () => {
  const { deviceId } = await server.logIn('gw_alice')
  expect(forbiddenOf(await asPuppet('GET', '/account/whoami', undefined, { device_id: deviceId }))).toBe(true)
})

test.each(refused)('is not the user outside rooms either: %s %p', async (method, path, body) => {
  expect(forbiddenOf(await asPuppet(method, path(''), body))).toBe(true)
})

describe('rooms that a user of the bridge is in', () => {
  test('are read and written in', async () => {
    const room = inRoom(shared)
    const said = { msgtype: 'm.text', body: 'from the phone' }
    const sent = await asPuppet('PUT', `${room}/send/m.room.message/9`, said)
    expect(sent.status).toBe(200)
    expect((await asPuppet('GET', `${room}/event/${encodeURIComponent(sent.text('event_id'))}`)).status).toBe(
      200,
    )
    expect((await asPuppet('POST', `${room}/read_markers`, { 'm.read': sent.text('event_id') })).status).toBe(
      200,
    )
    expect((await asPuppet('GET', `${room}/members`)).list('chunk')).toHaveLength(2)
  })

  test('an invitation by the bridge is accepted, one by somebody else is not', async () => {
    const make = async (token: string, as: string) => {
      const made = await server.call('POST', '/createRoom', { invite: [userId('gw_bob')] }, { as, token })
      return made.text('room_id')
    }
    const [ours, others] = [await make('as_wa', 'wa_1'), await make('as_sg', 'sg_1')]
    const join = (roomId: string) => server.join(roomId, 'gw_bob', 'as_wa')
    expect((await join(ours)).status).toBe(200)
    expect(forbiddenOf(await join(others))).toBe(true)
  })

  test('end with the last of its users', async () => {
    const roomId = await roomWith('wa_1', 'as_wa')
    expect((await asPuppet('GET', `${inRoom(roomId)}/state`)).status).toBe(200)
    await server.call('POST', `${inRoom(roomId)}/leave`, {}, { as: 'wa_1', token: 'as_wa' })
    expect(forbiddenOf(await asPuppet('GET', `${inRoom(roomId)}/state`))).toBe(true)
  })
})
