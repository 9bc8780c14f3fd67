/** History in batches: in its place, once, from the bridge alone, and told as history. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  bodies,
  dig,
  FakeAppservice,
  type Loose,
  serverWith,
  type TestServer,
  until,
  userId,
} from './harness.ts'

let server: TestServer
const gateway = new FakeAppservice()
const bridge = new FakeAppservice()
const BRIDGE = { token: 'as_wa' }
const ALICE = { as: 'gw_alice' }

/** The bridge's ghosts are its own; it may speak as the gateway's users, too. */
const registerBridge = () =>
  server.appservice('wa', {
    deliver: bridge.deliver,
    namespaces: {
      users: [{ regex: '@wa_.*:hs\\.test', exclusive: true }],
      puppets: [{ regex: '@gw_.*:hs\\.test', exclusive: false }],
    },
  })

beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_bob')
  await server.appservice('gw', { deliver: gateway.deliver })
  await registerBridge()
  await server.users(['wa_friend'], 'as_wa')
  server.hs.start()
})
afterAll(() => server.close())

/** A portal that the bridge made, and Alice has joined. */
async function portal({ joined = true, wish = {} as Loose } = {}): Promise<string> {
  const made = await server.call('POST', '/createRoom', { invite: [userId('gw_alice')], ...wish }, BRIDGE)
  const roomId = made.text('room_id')
  if (joined) await server.join(roomId, 'gw_alice')
  return roomId
}

let ids = 0
const said = (body: string, extra: Loose = {}) => ({
  type: 'm.room.message',
  sender: userId('wa_friend'),
  event_id: `$h${++ids}:backfill.wa`,
  origin_server_ts: 1_600_000_000_000 + ids,
  content: { msgtype: 'm.text', body },
  ...extra,
})
const many = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => said(`${prefix} ${index}`))
const bodiesOf = (events: Loose[]) => events.map(event => dig(event, 'content', 'body'))

const backfill = '/_matrix/client/unstable/com.beeper.backfill/rooms'
const send = (roomId: string, body: Loose, options: { token?: string; as?: string } = BRIDGE) =>
  server.call('POST', `${backfill}/${encodeURIComponent(roomId)}/batch_send`, body, options)

const ordinary = (roomId: string, body: string) =>
  server.call(
    'PUT',
    `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${crypto.randomUUID()}`,
    { msgtype: 'm.text', body },
    BRIDGE,
  )

const path = (roomId: string, rest: string) => `/rooms/${encodeURIComponent(roomId)}/${rest}`
const page = (roomId: string, query: Record<string, string>) =>
  server.call('GET', path(roomId, 'messages'), undefined, { ...ALICE, query })

/** Bodies of all messages, in the order of the direction, read in small pages. */
async function read(roomId: string, dir: 'b' | 'f', from?: string): Promise<unknown[]> {
  const found: unknown[] = []
  for (let next = from; ; ) {
    const answer = await page(roomId, { dir, limit: '3', ...(next === undefined ? {} : { from: next }) })
    found.push(...bodies(answer.list('chunk')))
    if (answer.list('chunk').length === 0 || answer.get('end') === undefined) return found
    next = answer.text('end')
  }
}

const told = (roomId: string) => gateway.events.filter(event => event.room_id === roomId)
const isHistory = (event: Loose | undefined) => dig(event, 'unsigned', 'org.matrix.msc2716.historical')

describe('the order', () => {
  test('of older batches is before all that the room has, in both directions', async () => {
    const roomId = await portal()
    await ordinary(roomId, 'new 1')
    await send(roomId, { events: many('b', 4), forward: false })
    await send(roomId, { events: many('a', 4) })
    await ordinary(roomId, 'new 2')
    const all = [...bodiesOf(many('a', 4)), ...bodiesOf(many('b', 4)), 'new 1', 'new 2']
    expect(await read(roomId, 'f')).toEqual(all)
    expect(await read(roomId, 'b')).toEqual(all.toReversed())
  })

  test('of a forward batch is after what the room has', async () => {
    const roomId = await portal()
    await ordinary(roomId, 'before')
    await send(roomId, { events: many('m', 2), forward: true })
    await ordinary(roomId, 'after')
    expect(await read(roomId, 'f')).toEqual(['before', 'm 0', 'm 1', 'after'])
  })

  test('follows a wish only if the room has no messages', async () => {
    const roomId = await portal()
    // A bridge's word about an event, such as a join, is no message.
    await server.call('PUT', path(roomId, 'send/com.beeper.message_send_status/1'), {}, BRIDGE)
    await send(roomId, { events: many('first', 1), forward_if_no_messages: true })
    const newest = (await page(roomId, { dir: 'b', limit: '1' })).list('chunk')
    expect(bodies(newest)).toEqual(['first 0'])
    await send(roomId, { events: many('older', 1), forward_if_no_messages: true })
    expect(await read(roomId, 'f')).toEqual(['older 0', 'first 0'])
  })

  test('is the same by tokens from before a batch', async () => {
    const roomId = await portal()
    await send(roomId, { events: many('b', 3) })
    await ordinary(roomId, 'new')
    const oldest = await page(roomId, { dir: 'f', limit: '1' })
    const from = oldest.text('end')
    const middle = (await page(roomId, { dir: 'b', limit: '1' })).text('end')
    await send(roomId, { events: many('a', 2) })
    expect(await read(roomId, 'b', from)).toEqual(['b 0', 'a 1', 'a 0'])
    expect(await read(roomId, 'b', middle)).toEqual(['b 2', 'b 1', 'b 0', 'a 1', 'a 0'])
    expect(await read(roomId, 'f', from)).toEqual(['b 1', 'b 2', 'new'])
  })

  test('is that of /context, with the state of now', async () => {
    const roomId = await portal()
    const events = many('h', 5)
    await send(roomId, { events })
    const middle = encodeURIComponent(events[2]?.event_id ?? '')
    const context = await server.call('GET', path(roomId, `context/${middle}`), undefined, {
      ...ALICE,
      query: { limit: '4' },
    })
    expect(bodiesOf(context.list('events_before'))).toEqual(['h 1', 'h 0'])
    expect(bodiesOf(context.list('events_after'))).toEqual(['h 3', 'h 4'])
    expect(context.list('state').map(event => event.state_key)).toContain(userId('gw_alice'))
    expect(bodies((await page(roomId, { dir: 'b', from: context.text('start') })).list('chunk'))).toEqual([])
    const after = await page(roomId, { dir: 'f', from: context.text('end'), limit: '1' })
    expect(after.list('chunk')[0]?.type).toBe('m.room.create')
  })
})

describe('what relates to history', () => {
  test('is found: reactions, edits and threads, also of the batch itself', async () => {
    const roomId = await portal()
    const [root, answer, second] = many('m', 3)
    const rootId = root?.event_id ?? ''
    const relation = (rel_type: string, key?: string) => ({
      rel_type,
      event_id: rootId,
      ...(key ? { key } : {}),
    })
    const reaction = said('', {
      type: 'm.reaction',
      content: { 'm.relates_to': relation('m.annotation', '👍') },
    })
    const reply = {
      ...second,
      content: { msgtype: 'm.text', body: 'r', 'm.relates_to': relation('m.thread') },
    }
    await send(roomId, { events: [root, reaction, answer, reply] as Loose[] })
    const relations = (rest = '') =>
      server.call(
        'GET',
        `/_matrix/client/v1${path(roomId, `relations/${encodeURIComponent(rootId)}${rest}`)}`,
        undefined,
        ALICE,
      )
    expect((await relations()).list('chunk').map(event => event.type)).toEqual([
      'm.room.message',
      'm.reaction',
    ])
    expect((await relations('/m.annotation')).list('chunk')).toHaveLength(1)
    const threads = await server.call('GET', `/_matrix/client/v1${path(roomId, 'threads')}`, undefined, ALICE)
    expect(threads.list('chunk').map(event => event.event_id)).toEqual([rootId])
    // With another id, as bridges name reactions anew.
    const again = await send(roomId, { events: [{ ...reaction, event_id: '$again:backfill.wa' }] })
    expect(again.get('event_ids')).toEqual([reaction.event_id])
    expect((await relations('/m.annotation')).list('chunk')).toHaveLength(1)
  })

  test('takes words back, one’s own ones', async () => {
    const roomId = await portal()
    await server.call(
      'POST',
      '/register',
      { type: 'm.login.application_service', username: 'wa_third', inhibit_login: true },
      BRIDGE,
    )
    const [own, others] = many('m', 2)
    const redaction = (redacts = '', extra: Loose = {}) =>
      said('', { type: 'm.room.redaction', content: { redacts }, ...extra })
    await send(roomId, {
      events: [
        own,
        others,
        redaction(own?.event_id),
        redaction(others?.event_id, { sender: userId('wa_third') }),
      ] as Loose[],
    })
    expect(await read(roomId, 'f')).toEqual([undefined, 'm 1'])
  })

  test('is a receipt that only its user and the gateway see, and that does not go back', async () => {
    const roomId = await portal()
    const events = many('m', 2)
    await send(roomId, { events, forward: true, mark_read_by: userId('gw_alice') })
    const sync = await server.call('GET', '/sync', undefined, ALICE)
    const receipts = sync.list('rooms', 'join', roomId, 'ephemeral', 'events')
    expect(
      dig(receipts[0], 'content', events[1]?.event_id ?? '', 'm.read.private', userId('gw_alice')),
    ).toBeDefined()
    await ordinary(roomId, 'end')
    await until(() => bridge.events.some(event => dig(event, 'content', 'body') === 'end'))
    expect(bridge.ephemeral.filter(event => event.room_id === roomId)).toEqual([])
    const older = many('older', 1)
    await send(roomId, { events: older })
    await server.call(
      'POST',
      path(roomId, `receipt/m.read.private/${encodeURIComponent(older[0]?.event_id ?? '')}`),
      {},
      ALICE,
    )
    const now = (await server.call('GET', '/sync', undefined, ALICE)).list(
      'rooms',
      'join',
      roomId,
      'ephemeral',
      'events',
    )
    expect(dig(now[0], 'content', events[1]?.event_id ?? '')).toBeDefined()
  })
})

describe('a sync', () => {
  const join = (answer: Awaited<ReturnType<typeof page>>, roomId: string, ...rest: (string | number)[]) =>
    answer.list('rooms', 'join', roomId, ...rest)

  test('that goes on tells nothing of older history, one that begins has the order', async () => {
    const roomId = await portal()
    await ordinary(roomId, 'new')
    const since = (await server.call('GET', '/sync', undefined, ALICE)).text('next_batch')
    await send(roomId, { events: many('h', 3) })
    const next = await server.call('GET', '/sync', undefined, { ...ALICE, query: { since } })
    expect(next.get('rooms')).toBeUndefined()
    const filter = JSON.stringify({ room: { timeline: { limit: 3, types: ['m.room.message'] } } })
    const fresh = await server.call('GET', '/sync', undefined, { ...ALICE, query: { filter } })
    expect(bodies(join(fresh, roomId, 'timeline', 'events'))).toEqual(['h 1', 'h 2', 'new'])
    expect(fresh.get('rooms', 'join', roomId, 'timeline', 'limited')).toBe(true)
    const before = fresh.text('rooms', 'join', roomId, 'timeline', 'prev_batch')
    expect(bodies((await page(roomId, { dir: 'b', from: before })).list('chunk'))).toEqual(['h 0'])
    // The timeline leaves state out, so the room's state is told beside it.
    const types = join(fresh, roomId, 'state', 'events').map(event => event.type)
    expect(types).toContain('m.room.create')
    expect(types).toContain('m.room.member')
  })

  test('tells a forward batch as what is new', async () => {
    const roomId = await portal()
    const since = (await server.call('GET', '/sync', undefined, ALICE)).text('next_batch')
    await send(roomId, { events: many('f', 2), forward: true })
    const next = await server.call('GET', '/sync', undefined, { ...ALICE, query: { since } })
    const events = join(next, roomId, 'timeline', 'events')
    expect(bodies(events)).toEqual(['f 0', 'f 1'])
    expect(events.map(isHistory)).toEqual([true, true])
  })
})

describe('appservices', () => {
  test('are told of all history, marked, but for the one that brings it', async () => {
    const roomId = await portal()
    const own = said('from the phone', { sender: userId('gw_alice') })
    await send(roomId, { events: [said('theirs'), own] })
    await send(roomId, { events: many('missed', 1), forward: true })
    await ordinary(roomId, 'live')
    await until(() => bodies(told(roomId)).includes('live'))
    const messages = told(roomId).filter(event => event.type === 'm.room.message')
    expect(messages.map(event => [dig(event, 'content', 'body'), isHistory(event)])).toEqual([
      ['theirs', true],
      ['from the phone', true],
      ['missed 0', undefined],
      ['live', undefined],
    ])
    await until(() => bridge.events.some(event => dig(event, 'content', 'body') === 'live'))
    expect(bodies(bridge.events.filter(event => event.room_id === roomId))).toEqual(['live'])
  })

  test('are told the first message of a room as news where the bridge says so', async () => {
    const roomId = await portal()
    await send(roomId, { events: many('news', 1), forward: true, send_notification: true })
    await until(() => bodies(told(roomId)).length === 1)
    expect(told(roomId).map(isHistory)).not.toContain(true)
  })

  test('are told what was said while the room was made as news, though it has been read', async () => {
    const roomId = await portal()
    const now = Date.now()
    const events = [said('old'), said('young', { origin_server_ts: now - 5_000 })]
    await send(roomId, { events, forward: true, mark_read_by: userId('gw_alice') })
    await send(roomId, { events: [said('older', { origin_server_ts: now - 5_000 })] })
    await until(() => bodies(told(roomId)).length === 3)
    const messages = told(roomId).filter(event => event.type === 'm.room.message')
    expect(messages.map(isHistory)).toEqual([true, undefined, true])
  })

  test('are told which words its puppets said, as those sent one by one say', async () => {
    const roomId = await portal()
    const events = [said('mine', { sender: userId('gw_alice') }), said('theirs')]
    await send(roomId, { events, forward: true, send_notification: true })
    await until(() => told(roomId).some(event => dig(event, 'content', 'body') === 'theirs'))
    const sources = told(roomId)
      .filter(({ type }) => type === 'm.room.message')
      .map(event => [dig(event, 'content', 'body'), dig(event, 'content', 'fi.mau.double_puppet_source')])
    expect(sources).toEqual([
      ['mine', 'wa'],
      ['theirs', undefined],
    ])
  })

  test('are told before their user has answered the invitation', async () => {
    const roomId = await portal({ joined: false })
    await send(roomId, { events: many('early', 2), forward: true })
    await until(() => bodies(told(roomId)).length === 2)
    await server.join(roomId, 'gw_alice')
    expect(await read(roomId, 'f')).toEqual(['early 0', 'early 1'])
  })
})

test('who has left or never was in the room sees what others of then see', async () => {
  const roomId = await portal()
  await send(roomId, { events: many('h', 2) })
  await server.call('POST', path(roomId, 'leave'), {}, ALICE)
  await send(roomId, { events: many('later', 1) })
  expect(await read(roomId, 'f')).toEqual(['later 0', 'h 0', 'h 1'])
  const stranger = await server.call('GET', path(roomId, 'messages'), undefined, {
    as: 'gw_bob',
    query: { dir: 'b' },
  })
  expect(stranger.status).toBe(403)
})

describe('a repeat', () => {
  test('stores nothing, whether its events have ids or not', async () => {
    const roomId = await portal()
    const nameless = {
      type: 'm.room.message',
      sender: userId('wa_friend'),
      content: { msgtype: 'm.text', body: 'same' },
    }
    const body = { events: [...many('m', 3), nameless, nameless] }
    const first = await send(roomId, body)
    const second = await send(roomId, body)
    expect(second.body).toEqual(first.body)
    expect(new Set(first.get('event_ids') as string[]).size).toBe(5)
    expect(await read(roomId, 'f')).toEqual(['m 0', 'm 1', 'm 2', 'same', 'same'])
  })

  test('after a kill is recognised, and the order goes on', async () => {
    const roomId = await portal()
    const body = { events: many('b', 2) }
    await send(roomId, body)
    await server.restart({ graceful: false })
    await server.appservice('gw', { deliver: gateway.deliver })
    await registerBridge()
    server.hs.start()
    await send(roomId, body)
    await send(roomId, { events: many('a', 1) })
    expect(await read(roomId, 'f')).toEqual(['a 0', 'b 0', 'b 1'])
  })
})

describe('refused is', () => {
  let roomId = ''
  let elsewhere = ''
  beforeAll(async () => {
    roomId = await portal()
    elsewhere = await portal()
  })

  test.each<[what: string, body: () => Loose, options: { token?: string; as?: string }, status: number]>([
    ['a user', () => ({ events: [said('x')] }), { as: 'gw_alice' }, 403],
    ['a puppet', () => ({ events: [said('x')] }), { token: 'as_wa', as: 'gw_alice' }, 403],
    [
      'a bridge’s user outside the room',
      () => ({ events: [said('x')] }),
      { token: 'as_wa', as: 'wa_friend' },
      403,
    ],
    [
      'the word of somebody else’s user',
      () => ({ events: [said('x'), said('y', { sender: '@zz:hs.test' })] }),
      BRIDGE,
      403,
    ],
    ['a puppet nobody knows', () => ({ events: [said('y', { sender: '@gw_none:hs.test' })] }), BRIDGE, 403],
    ['a mark for somebody else’s user', () => ({ events: [], mark_read_by: '@zz:hs.test' }), BRIDGE, 403],
    ['state', () => ({ events: [said('x', { state_key: '' })] }), BRIDGE, 400],
    ['an id that is none', () => ({ events: [said('x'), said('x', { event_id: '$"x' })] }), BRIDGE, 400],
    ['a fraction', () => ({ events: [said('x', { content: { a: 0.5 } })] }), BRIDGE, 400],
    ['an event beyond 64 KiB', () => ({ events: [said('x'), said('y'.repeat(70_000))] }), BRIDGE, 413],
    ['too many at once', () => ({ events: many('x', 3_001) }), BRIDGE, 400],
  ])('%s, and nothing is stored', async (_, body, options, status) => {
    expect((await send(roomId, body(), options)).status).toBe(status)
    expect(await read(roomId, 'f')).toEqual([])
  })

  test('an event of another room', async () => {
    const event = said('there')
    await send(elsewhere, { events: [event] })
    expect((await send(roomId, { events: [said('x'), event] })).status).toBe(400)
    expect(await read(roomId, 'f')).toEqual([])
  })
})

test('thousands of events come at once', async () => {
  const roomId = await portal()
  const content = { msgtype: 'm.text', body: 'long '.repeat(100), list: Array.from({ length: 20 }, () => 1) }
  const events = many('x', 3_000).map(event => ({ ...event, content }))
  expect((await send(roomId, { events })).list('event_ids')).toHaveLength(3_000)
})

test('a ghost that speaks for the first time need not exist', async () => {
  const roomId = await portal()
  await send(roomId, { events: [said('hello', { sender: userId('wa_fresh') })] })
  expect(await read(roomId, 'f')).toEqual(['hello'])
  expect((await server.call('GET', `/profile/${userId('wa_fresh')}`)).status).toBe(200)
})

/** Forgets what all appservices were told, by its age. */
async function forget(before: number): Promise<void> {
  server.db.run('UPDATE hs_appservices SET position = (SELECT max(stream_id) FROM hs_events)')
  for (let after: number | null = 0; after !== null; ) after = (await server.hs.forget(after, before)).next
  await server.hs.forgetMedia(before, new AbortController().signal)
}

test.each([
  ['long ago', 1_600_000_000_000],
  ['in a time to come', Date.now() + 1e9],
])('what was missed is kept from when it was stored, though it was said %s', async (_, time) => {
  const roomId = await portal()
  await ordinary(roomId, 'before')
  await send(roomId, { events: [said('missed', { origin_server_ts: time })], forward: true })
  await until(() => bodies(told(roomId)).includes('missed'))
  await forget(Date.now() - 60_000)
  expect(await read(roomId, 'f')).toEqual(['before', 'missed'])
  await forget(Date.now() + 1_000)
  expect(await read(roomId, 'f')).toEqual([])
})

test('what was missed is news, also where all before it was forgotten', async () => {
  const roomId = await portal()
  await ordinary(roomId, 'before')
  await until(() => bodies(told(roomId)).includes('before'))
  await forget(Date.now() + 1_000)
  expect(await read(roomId, 'f')).toEqual([])
  await send(roomId, { events: many('missed', 1), forward: true, mark_read_by: userId('gw_alice') })
  await until(() => bodies(told(roomId)).includes('missed 0'))
  expect(told(roomId).map(isHistory)).not.toContain(true)
})

test('history is kept from when it was stored, and its media with it', async () => {
  const upload = await server.call('POST', '/_matrix/media/v3/upload', 'old picture', BRIDGE)
  const roomId = await portal()
  await send(roomId, {
    events: [said('x', { content: { msgtype: 'm.image', body: 'x', url: upload.get('content_uri') } })],
  })
  await until(() => told(roomId).some(event => dig(event, 'content', 'msgtype') === 'm.image'))
  const media = upload.text('content_uri').slice('mxc://'.length)
  const download = async () =>
    (
      await server.raw('GET', `/_matrix/client/v1/media/download/${media}`, {
        headers: { authorization: 'Bearer as_gw' },
      })
    ).status
  await forget(Date.now() - 60_000)
  expect(await read(roomId, 'f')).toEqual(['x'])
  expect(await download()).toBe(200)
  await forget(Date.now() + 1_000)
  expect(await read(roomId, 'f')).toEqual([])
  expect(await download()).toBe(404)
})
