/** Limits of a call, and of amounts that add up. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { HomeserverRows } from '../../support/homeserver-rows.ts'
import { TestServer, userId } from './harness.ts'

const server = new TestServer()
let room = ''
let large = ''
let full = ''
beforeAll(async () => {
  await server.appservice('gw')
  await server.users(['gw_alice', 'gw_bob'])
  const rows = new HomeserverRows(server.db, 'hs.test')
  rows.all(() => {
    const ghosts = Array.from({ length: 9_999 }, (_, at) => `gw_ghost${at}`)
    const { room, roomId } = rows.newRoom(['gw_alice', ...ghosts])
    large = encodeURIComponent(roomId)
    full = encodeURIComponent(rows.newRoom(['gw_alice']).roomId)
    server.db.run(
      `INSERT INTO hs_room_state SELECT ?, s.type, s.state_key || copies.value, s.stream_id, s.membership
       FROM hs_room_state AS s, json_each(?) AS copies WHERE s.room = ? AND s.type = 'm.room.member'`,
      [room + 1, JSON.stringify(times(10, String)), room],
    )
  })
  await server.restart()
  await server.appservice('gw')
  room = encodeURIComponent(await server.room('gw_alice'))
})
afterAll(() => server.close())

const times = <T>(count: number, make: (at: number) => T) =>
  Array.from({ length: count }, (_, at) => make(at))
const object = (count: number, value: unknown) =>
  Object.fromEntries(times(count, at => [`signed_curve25519:${at}`, value]))
const ALICE = { as: 'gw_alice' }

type Case = [what: string, method: string, path: () => string, body: () => unknown, error: [number, string]]
const INVALID: [number, string] = [400, 'M_INVALID_PARAM']
const BAD: [number, string] = [400, 'M_BAD_JSON']
const LARGE: [number, string] = [413, 'M_TOO_LARGE']
const long = 'x'.repeat(256)

const cases: Case[] = [
  [
    'invitations',
    'POST',
    () => '/createRoom',
    () => ({ invite: times(10_000, at => userId(`gw_${at}`)) }),
    BAD,
  ],
  [
    'initial state',
    'POST',
    () => '/createRoom',
    () => ({ initial_state: times(101, at => ({ type: `m.${at}`, content: {} })) }),
    BAD,
  ],
  [
    'to-device messages',
    'PUT',
    () => '/sendToDevice/m.test/a',
    () => ({ messages: { [userId('gw_bob')]: Object.fromEntries(times(1_001, at => [`D${at}`, {}])) } }),
    INVALID,
  ],
  [
    'a large to-device message',
    'PUT',
    () => '/sendToDevice/m.test/b',
    () => ({ messages: { [userId('gw_bob')]: { '*': { a: 'x'.repeat(70_000) } } } }),
    LARGE,
  ],
  ['devices to delete', 'POST', () => '/delete_devices', () => ({ devices: times(1_001, String) }), BAD],
  [
    'keys to claim',
    'POST',
    () => '/keys/claim',
    () => ({ one_time_keys: { [userId('gw_bob')]: object(1_001, 'signed_curve25519') } }),
    INVALID,
  ],
  [
    'types of a filter',
    'POST',
    () => '/user/@gw_alice:hs.test/filter',
    () => ({ room: { state: { types: times(51, String) } } }),
    BAD,
  ],
  [
    'tags',
    'PUT',
    () => `/user/@gw_alice:hs.test/rooms/${room}/tags/u.large`,
    () => ({ a: 'x'.repeat(66_000) }),
    LARGE,
  ],
  ['an event', 'PUT', () => `/rooms/${room}/send/m.test/c`, () => ({ a: 'x'.repeat(65_536) }), LARGE],
  ['a state event', 'PUT', () => `/rooms/${room}/state/m.test`, () => ({ a: 'x'.repeat(65_536) }), LARGE],
  ['an event type', 'PUT', () => `/rooms/${room}/send/${long}/d`, () => ({}), LARGE],
  ['a state key', 'PUT', () => `/rooms/${room}/state/m.test/${long}`, () => ({}), LARGE],
  ['an account data type', 'PUT', () => `/user/@gw_alice:hs.test/account_data/${long}`, () => ({}), INVALID],
  ['a receipt’s event', 'POST', () => `/rooms/${room}/receipt/m.read/${long}`, () => ({}), INVALID],
  ['a device id', 'PUT', () => `/devices/${long}`, () => ({}), INVALID],
  [
    'members',
    'POST',
    () => `/rooms/${full}/invite`,
    () => ({ user_id: userId('gw_bob') }),
    [403, 'M_FORBIDDEN'],
  ],
]

test.each(cases)('too many or too much: %s', async (_, method, path, body, error) => {
  const answer = await server.call(method, path(), body(), ALICE)
  expect([answer.status, answer.get('errcode')] as unknown[]).toEqual(error)
})

describe('what gathers', () => {
  test('one-time keys of a device', async () => {
    await server.call('PUT', '/devices/D', {}, ALICE)
    const onDevice = { ...ALICE, query: { device_id: 'D' } }
    const upload = (keys: unknown) => server.call('POST', '/keys/upload', { one_time_keys: keys }, onDevice)
    expect((await upload(object(1_000, 'key'))).status).toBe(200)
    // A client uploads again when the answer was lost.
    expect((await upload(object(1_000, 'key'))).status).toBe(200)
    const answer = await upload({ 'signed_curve25519:more': 'key' })
    expect([answer.status, answer.get('errcode')]).toEqual([400, 'M_INVALID_PARAM'])
  })

  test('messages to all devices of a user', async () => {
    server.db.run(
      'INSERT INTO hs_devices (user_id, device_id, created_at) SELECT ?, value, 0 FROM json_each(?)',
      [userId('gw_bob'), JSON.stringify(times(1_000, String))],
    )
    const send = async (txn: string, body: string) => {
      const messages = { [userId('gw_bob')]: { '*': { body } } }
      return (await server.call('PUT', `/sendToDevice/m.test/${txn}`, { messages }, ALICE)).get('errcode')
    }
    expect([await send('e', ''), await send('f', 'x'.repeat(5_000))]).toEqual([undefined, 'M_TOO_LARGE'])
    await server.call('PUT', '/devices/D', {}, ALICE)
    const messages = { [userId('gw_bob')]: { '*': {} }, [userId('gw_alice')]: { D: {} } }
    const answer = await server.call('PUT', '/sendToDevice/m.test/g', { messages }, ALICE)
    expect(answer.get('errcode')).toBe('M_INVALID_PARAM')
    const more = await server.call('PUT', '/devices/MORE', {}, { as: 'gw_bob' })
    expect([more.status, more.get('errcode')]).toEqual([403, 'M_FORBIDDEN'])
    await expect(server.logIn('gw_bob')).rejects.toThrow('M_FORBIDDEN')
  })

  test('aliases of a room', async () => {
    const put = (at: number) =>
      server.call(
        'PUT',
        `/directory/room/${encodeURIComponent(`#n${at}:hs.test`)}`,
        { room_id: decodeURIComponent(room) },
        ALICE,
      )
    const statuses = await Promise.all(times(101, async at => (await put(at)).status))
    expect(statuses.filter(status => status === 200)).toHaveLength(100)
    expect(statuses.filter(status => status === 400)).toHaveLength(1)
  })
})

test('a room of which many have left, or that many are in, takes more', async () => {
  const invite = async (user_id: string) =>
    (await server.call('POST', `/rooms/${large}/invite`, { user_id }, ALICE)).status
  expect(await invite(userId('gw_bob'))).toBe(200)
  const states = "hs_room_state WHERE type = 'm.room.member' AND membership = 'join'"
  const roomId = await server.room('gw_alice')
  server.db.run(
    `INSERT INTO hs_room_state SELECT (SELECT room FROM hs_rooms WHERE room_id = ?), type, state_key || 'x', stream_id, 'leave'
     FROM ${states} AND state_key <> ?`,
    [roomId, userId('gw_alice')],
  )
  const former = server.db
    .query<{ n: number }, []>("SELECT count(*) AS n FROM hs_room_state WHERE membership = 'leave'")
    .get()
  expect(former?.n).toBeGreaterThan(100_000)
  await server.restart()
  await server.appservice('gw')
  expect(
    (
      await server.call(
        'POST',
        `/rooms/${encodeURIComponent(roomId)}/invite`,
        { user_id: userId('gw_bob') },
        ALICE,
      )
    ).status,
  ).toBe(200)
})

test('rooms leave the memory when four thousand others were asked for', async () => {
  const rows = new HomeserverRows(server.db, 'hs.test')
  const rooms: { room: number; roomId: string }[] = []
  rows.all(() => rooms.push(...times(4_001, () => rows.newRoom(['gw_bob']))))
  await server.restart()
  await server.appservice('gw')
  const statusIn = async (at: number) => {
    const path = `/rooms/${encodeURIComponent(rooms[at]?.roomId ?? '')}/aliases`
    return (await server.call('GET', path, undefined, { as: 'gw_bob' })).status
  }
  for (const at of rooms.keys()) expect(await statusIn(at)).toBe(200)
  // Cached memberships hide the change; only a fresh read shows it.
  server.db.run("UPDATE hs_room_state SET membership = 'leave' WHERE room IN (?, ?)", [
    rooms[0]?.room ?? 0,
    rooms[4_000]?.room ?? 0,
  ])
  expect([await statusIn(0), await statusIn(4_000)]).toEqual([403, 200])
})

test('a page ends where a megabyte does, and the next goes on from there', async () => {
  const roomId = await server.room('gw_bob')
  const sent = times(40, at => `${at} ${'x'.repeat(60_000)}`)
  for (const body of sent) await server.send(roomId, 'gw_bob', body)
  const seen: unknown[] = []
  let from: string | undefined
  let pages = 0
  do {
    const query: Record<string, string> = { dir: 'b', limit: '100', ...(from === undefined ? {} : { from }) }
    const path = `/rooms/${encodeURIComponent(roomId)}/messages`
    const answer = await server.call('GET', path, undefined, { as: 'gw_bob', query })
    expect(JSON.stringify(answer.body).length).toBeLessThan(1.2 * 1024 * 1024)
    const messages = answer.list('chunk').filter(event => event.type === 'm.room.message')
    seen.push(...messages.map(event => (event.content as { body: string }).body))
    from = answer.get('end') as string | undefined
    pages++
  } while (from !== undefined)
  expect(seen).toEqual(sent.reverse())
  expect(pages).toBe(3)
})

test('a first answer that a bridge never reads is never written in full', async () => {
  const answer = await server.raw(
    'GET',
    `/_matrix/client/v3/rooms/${large}/members?user_id=${userId('gw_alice')}`,
    {
      headers: { authorization: 'Bearer as_gw' },
    },
  )
  const reader = answer.body?.getReader()
  const first = await reader?.read()
  expect(first?.value?.length).toBeLessThan(70_000)
  await reader?.cancel()
})

test('an error says the first thousand characters of what was given', async () => {
  const answer = await server.call('GET', '/account/whoami', undefined, { as: 'x'.repeat(3_000) })
  expect(answer.status).toBe(403)
  const text = answer.text('error')
  expect(text).toStartWith('Application service cannot masquerade as @xxx')
  expect([text.length, text.at(-1)]).toEqual([1_001, '…'])
})
