/** No request blocks the others, however much data there is. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { MAX_MEMBERS } from '../../../src/homeserver/limits.ts'
import { HomeserverRows } from '../../support/homeserver-rows.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { FakeAppservice, TestServer, until, userId } from './harness.ts'

const MEMBERS = 5_000
const ROOMS = 1_000
const ROUNDS = { rounds: 2 }
const LARGE = 'x'.repeat(60_000)

const server = new TestServer()
let huge: { room: number; roomId: string }
let parent = ''
let token = ''
const idle = new FakeAppservice()

beforeAll(async () => {
  await server.appservice('gw')
  await server.appservice('idle', { deliver: idle.deliver })
  await server.users(['gw_alice'])
  const rows = new HomeserverRows(server.db, 'hs.test')
  rows.all(() => {
    const ghosts = Array.from({ length: MEMBERS }, (_, at) => `gw_ghost${at}`)
    for (const ghost of ghosts) rows.user(ghost)
    huge = rows.newRoom(['gw_alice', ...ghosts], '1')
    for (let at = 0; at < 3_000; at++) {
      const topic = { room: huge.room, type: 'm.room.topic', sender: userId('gw_alice'), stateKey: '' }
      rows.event({ ...topic, content: { topic: String(at) } })
    }
    parent = rows.message(huge.room, 'gw_alice', 'parent')
    const relatesTo = { eventId: parent, relType: 'm.annotation' }
    const reaction = { room: huge.room, type: 'm.reaction', sender: userId('gw_alice'), relatesTo }
    for (let at = 0; at < 5_000; at++)
      rows.event({ ...reaction, content: { 'm.relates_to': { key: String(at) } } })
    for (let at = 0; at < 300; at++) rows.message(huge.room, 'gw_alice', LARGE)
    for (let at = 0; at < ROOMS; at++) {
      const { room } = rows.newRoom(['gw_alice', `gw_ghost${at}`], '1')
      rows.message(room, 'gw_alice', `message ${at}`)
    }
  })
  await server.restart()
  await server.appservice('gw')
  await server.appservice('idle', { deliver: idle.deliver })
  token = (await server.logIn('gw_alice')).token
}, 60_000)
afterAll(() => server.close())

/** Leaves the answer unparsed: parsing would count as a turn. */
async function ask(method: string, path: string, body?: unknown, as = token): Promise<number> {
  const whole = path.startsWith('/_matrix') ? path : `/_matrix/client/v3${path}`
  const response = await server.raw(method, whole, {
    headers: { authorization: `Bearer ${as}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  expect(response.status).toBe(200)
  let bytes = 0
  for await (const chunk of response.body ?? []) bytes += chunk.length
  return bytes
}

const room = () => `/rooms/${encodeURIComponent(huge.roomId)}`

describe('reading', () => {
  const calls: [what: string, path: () => string, leastBytes: number][] = [
    ['a first sync of thousands of rooms', () => '/sync', ROOMS * 500],
    ['a sync with the full state', () => '/sync?full_state=true&since=s1_0', ROOMS * 500],
    ['a sync that tells nothing new', () => '/sync?since=s999999_9999999999999', 10],
    ['a page of large messages', () => `${room()}/messages?dir=b&limit=1000`, LARGE.length],
    ['a page from the beginning', () => `${room()}/messages?dir=f&limit=1000&from=s1`, 1000 * 100],
    [
      'an event with its context',
      () => `${room()}/context/${encodeURIComponent(parent)}?limit=1000`,
      100_000,
    ],
    ['the state', () => `${room()}/state`, MEMBERS * 100],
    ['the members', () => `${room()}/members`, MEMBERS * 100],
    ['the joined members', () => `${room()}/joined_members`, MEMBERS * 30],
    ['the rooms', () => '/joined_rooms', ROOMS * 20],
    [
      'what relates to an event',
      () => `/_matrix/client/v1${room()}/relations/${encodeURIComponent(parent)}/m.thread`,
      10,
    ],
  ]
  test.each(calls)('%s', async (_, path, leastBytes) => {
    let bytes = 0
    await expectShortTurns(async () => {
      bytes = await ask('GET', path())
    }, ROUNDS)
    expect(bytes).toBeGreaterThan(leastBytes)
  })

  test('a search among all users', () =>
    expectShortTurns(() => ask('POST', '/user_directory/search', { search_term: 'nobody' }), ROUNDS))

  test('the keys of thousands of users', () => {
    const users = Array.from({ length: 9_000 }, (_, at) => [userId(`gw_ghost${at}`), []])
    const body = { device_keys: Object.fromEntries(users) }
    return expectShortTurns(() => ask('POST', '/keys/query', body), ROUNDS)
  })

  test('a filter of stars and letters', () => {
    const types = Array.from({ length: 50 }, () => `${'*m'.repeat(100)}x`)
    const filter = encodeURIComponent(JSON.stringify({ types }))
    return expectShortTurns(() => ask('GET', `${room()}/messages?dir=b&filter=${filter}`), ROUNDS)
  })
})

test('an event that comes while a sync looks for news is in its answer', async () => {
  const { next_batch: since } = (await server.call('GET', '/sync', undefined, { token })).body as {
    next_batch: string
  }
  const sync = server.call('GET', '/sync', undefined, { token, query: { since, timeout: '600000' } })
  await server.send(huge.roomId, 'gw_alice', 'in between')
  expect((await sync).list('rooms', 'join', huge.roomId, 'timeline', 'events')).toHaveLength(1)
})

describe('writing', () => {
  test('a room with thousands of invitations, who are all invited', async () => {
    const invite = Array.from({ length: 9_000 }, (_, at) => userId(`gw_ghost${at}`))
    let roomId = ''
    await expectShortTurns(async () => {
      const answer = await server.call('POST', '/createRoom', { invite }, { as: 'gw_alice' })
      roomId = answer.text('room_id')
    }, ROUNDS)
    const members = await server.call('GET', `/rooms/${encodeURIComponent(roomId)}/members`, undefined, {
      as: 'gw_alice',
    })
    expect(members.list('chunk')).toHaveLength(9_001)
  }, 60_000)

  test('a message to a thousand devices', () => {
    const messages = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, at) => [userId(`gw_ghost${at}`), { D: { a: 1 } }]),
    )
    return expectShortTurns(at => ask('PUT', `/sendToDevice/m.test/t${at}`, { messages }), ROUNDS)
  })

  test('thousands of events of history', () => {
    const path = `/_matrix/client/unstable/com.beeper.backfill/rooms/${encodeURIComponent(huge.roomId)}/batch_send`
    const event = {
      type: 'm.room.message',
      sender: userId('gw_ghost1'),
      content: { body: LARGE.slice(0, 1_000) },
    }
    // One transaction, so that a batch is there as a whole: a bridge sends as many after days away.
    const asOne = { ...ROUNDS, mostMs: 100 }
    return expectShortTurns(at => {
      const events = Array.from({ length: 3_000 }, (_, index) => ({
        ...event,
        event_id: `$${at}-${index}:b`,
      }))
      return ask('POST', `${path}?user_id=${userId('gw_alice')}`, { events }, 'as_gw')
    }, asOne)
  }, 60_000)

  test('a change of a name that shows in thousands of rooms, and comes to all of them', async () => {
    let name = ''
    await expectShortTurns(async at => {
      await ask('PUT', `/profile/${userId('gw_alice')}/displayname`, { displayname: `Alice ${at}` })
      await until(() => changesUnderWay() === 0, 'the name in all rooms')
      name = `Alice ${at}`
    }, ROUNDS)
    expect(roomsWithout(name)).toBe(0)
  }, 60_000)
})

function countOf(sql: string, ...values: string[]): number {
  return server.db.query<{ count: number }, string[]>(sql).get(...values)?.count ?? -1
}

const changesUnderWay = () => countOf('SELECT count(*) AS count FROM hs_profile_changes')

const roomsWithout = (name: string) =>
  countOf(
    `SELECT count(*) AS count FROM hs_room_state s JOIN hs_events e ON e.stream_id = s.stream_id
     WHERE s.type = 'm.room.member' AND s.state_key = ? AND s.membership = 'join' AND json_extract(e.content, '$.displayname') <> ?`,
    userId('gw_alice'),
    name,
  )

test('pushing to an appservice that nothing of all this interested', async () => {
  await expectShortTurns(
    async () => {
      server.hs.start()
      const end = countOf('SELECT max(stream_id) AS count FROM hs_events')
      await until(() => cursorOf('idle') > end - 2_000, 'the cursor at the end')
    },
    { rounds: 1 },
  )
  expect(idle.received).toEqual([])
}, 60_000)

const cursorOf = (id: string) => countOf('SELECT position AS count FROM hs_appservices WHERE id = ?', id)

describe('a room of as many members as there may be, which is not in memory', () => {
  const full = new TestServer()
  const ghosts = new FakeAppservice()
  /** One room for each round. */
  const roomIds: string[] = []
  let counter = 0

  beforeAll(async () => {
    await register()
    await full.users(['gw_alice', 'gw_bob'])
    const rows = new HomeserverRows(full.db, 'hs.test')
    rows.all(() => {
      const members = Array.from({ length: MAX_MEMBERS - 10 }, (_, at) => `wa_ghost${at}`)
      for (let round = 0; round < ROUNDS.rounds; round++)
        roomIds.push(rows.newRoom(['gw_alice', ...members]).roomId)
    })
  }, 120_000)
  afterAll(() => full.close())

  async function register() {
    await full.appservice('gw')
    await full.appservice('wa', { deliver: ghosts.deliver })
  }

  async function say(method: string, round: number, path: string, body?: unknown) {
    const whole = `/rooms/${encodeURIComponent(roomIds[round] ?? '')}${path}`
    const answer = await full.call(method, whole, body, { as: 'gw_alice' })
    expect(answer.status).toBe(200)
  }

  const topic = (round: number) => say('PUT', round, '/state/m.room.topic', { topic: `topic ${++counter}` })
  const message = (round: number) => say('PUT', round, `/send/m.room.message/t${++counter}`, { body: 'x' })
  const LAZY = JSON.stringify({ room: { state: { lazy_load_members: true } } })

  const calls: [what: string, work: (round: number) => Promise<unknown>][] = [
    ['a piece of its state', round => say('GET', round, '/state/m.room.create')],
    ['a message', message],
    ['a change of its state', topic],
    ['an invitation', round => say('POST', round, '/invite', { user_id: userId('gw_bob') })],
    ['typing', round => say('PUT', round, `/typing/${userId('gw_alice')}`, { typing: true, timeout: 1 })],
    [
      'messages beside a change of its state',
      round => Promise.all([message, topic, message, message].map(one => one(round))),
    ],
    [
      'a sync that leaves members out',
      () => full.call('GET', '/sync', undefined, { as: 'gw_alice', query: { filter: LAZY } }),
    ],
  ]
  test.each(calls)(
    '%s',
    async (_, work) => {
      await full.restart()
      await register()
      await expectShortTurns(work, ROUNDS)
    },
    60_000,
  )

  test('a push of what is said in it', async () => {
    await full.restart()
    await register()
    await expectShortTurns(async round => {
      if (round === 0) full.hs.start()
      await message(round)
      const isThere = () =>
        ghosts.events.some(event => event.type === 'm.room.message' && event.room_id === roomIds[round])
      await until(isThere, 'the message')
    }, ROUNDS)
  }, 60_000)
})
