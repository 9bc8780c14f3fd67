/** Facts of a room's state and members, and of a bridge's report about a message. */
import { describe, expect, test } from 'bun:test'
import type { EventBatch, RoomEvent } from '../../../src/domain/ports.ts'
import { stateBefore } from '../../../src/matrix/room-event.ts'
import { factsOf, translated } from '../../../src/matrix/translate/facts.ts'
import { statusOf } from '../../../src/matrix/translate/status.ts'
import { describeChat } from '../../../src/modules/chats/description.ts'

function state(type: string, content: Record<string, unknown>): RoomEvent {
  return {
    event_id: '$1',
    room_id: '!r:s',
    sender: '@bot:s',
    type,
    state_key: '',
    origin_server_ts: 1,
    content,
  }
}
const bridge = (more: Record<string, unknown> = {}, channel: Record<string, unknown> = {}) =>
  state('m.bridge', {
    bridgebot: '@bot:s',
    protocol: { id: 'whatsapp' },
    channel: { id: '1@s', ...channel },
    ...more,
  })

const describeRoom = (events: RoomEvent[]) => describeChat(events.flatMap(factsOf))

test('facts that only the bridge can know name their sender', () => {
  const { content } = bridge()
  const types = ['m.bridge', 'uk.half-shot.bridge', 'com.beeper.room_features', 'm.room.name']
  const facts = types.flatMap(type => factsOf(state(type, { ...content, name: 'x' })))
  expect(facts.map(told => [told.fact, 'sender' in told])).toEqual([
    ['portal', true],
    ['portal', true],
    ['features', true],
    ['room', false],
  ])
})

test('a member event tells a membership and a name, as far as it has them', () => {
  const member = (content: Record<string, unknown>) =>
    factsOf({ ...state('m.room.member', content), state_key: '@a:s' })
  const change = { eventId: '$1', sender: '@bot:s', sentAt: 1, before: 'leave' }
  const told = (known: string) => ({ change: { ...change, name: known } })
  const membership = { fact: 'membership', roomId: '!r:s', userId: '@a:s', membership: 'join' }
  const name = { fact: 'name', roomId: '!r:s', userId: '@a:s', name: 'Ann' }
  expect(member({ membership: 'join', displayname: 'Ann' })).toEqual([
    { ...membership, ...told('Ann') },
    name,
  ] as never)
  expect(member({ membership: 'join', displayname: null })).toEqual([{ ...membership, ...told('') }] as never)
  expect(member({ membership: 7 })).toEqual([])
  expect(factsOf({ ...state('m.room.member', { membership: 'join' }), state_key: undefined })).toEqual([])
})

test('a member event as a room’s state shows it is no change', () => {
  const event = { ...state('m.room.member', { membership: 'join' }), state_key: '@a:s' }
  const was = { prev_content: { membership: 'invite' } }
  expect(factsOf({ ...event, unsigned: was })).toMatchObject([{ change: { before: 'invite' } }])
  for (const told of [stateBefore({ ...event, unsigned: was }), { ...event, event_id: '' }])
    expect(factsOf(told)).toEqual([
      { fact: 'membership', roomId: '!r:s', userId: '@a:s', membership: 'join' },
    ])
})

test('a topic and a picture, and that they are gone', () => {
  const described = (type: string, content: Record<string, unknown>) => describeRoom([state(type, content)])
  expect(described('m.room.topic', { topic: 'Plans' })).toEqual({ topic: 'Plans' })
  expect(described('m.room.topic', {})).toEqual({ topic: null })
  expect(described('m.room.avatar', { url: 'mxc://s/a' })).toEqual({ avatar: 'mxc://s/a' })
  for (const content of [{}, { url: '' }, { url: 'https://x' }])
    expect(described('m.room.avatar', content)).toEqual({ avatar: null })
})

test('a reaction with nothing left of it is a fact, other such events are none', () => {
  const emptied = (type: string) => factsOf({ ...state(type, {}), state_key: undefined })
  expect(emptied('m.reaction')).toMatchObject([{ fact: 'reaction', content: null }])
  expect(emptied('m.room.message')).toEqual([])
})

test('an event that meets a defect of ours is left out and logged, and those beside it are told', async () => {
  const batches: EventBatch[] = []
  const logged: unknown[] = []
  const sink = { accept: async (batch: EventBatch) => void batches.push(batch) }
  const source = translated(sink, { error: (fields: object) => void logged.push(fields) } as never)
  const poison: RoomEvent = { ...state('m.room.name', {}), event_id: '$poison' }
  Object.defineProperty(poison, 'content', { get: () => expect.unreachable() })
  const receipt = { roomId: '!r:s', eventId: '$1', userId: '@a:s' }
  const position = { kind: 'transaction', txnId: 't' } as const
  await source.accept({
    position,
    events: [poison, state('m.room.name', { name: 'x' })],
    receipts: [receipt],
  })
  expect(batches).toEqual([
    {
      position,
      facts: [
        { fact: 'room', roomId: '!r:s', room: { name: 'x' }, told: { eventId: '$1', sentAt: 1 } },
        { fact: 'receipt', ...receipt },
      ],
      eventCount: 2,
      newestAt: 1,
    },
  ])
  expect(logged).toMatchObject([{ event: '$poison' }])
})

test('history has a mark, and doesn’t count as the newest that was said', async () => {
  const said = { ...state('m.room.message', { msgtype: 'm.text', body: 'hi' }), state_key: undefined }
  const unsigned = { 'org.matrix.msc2716.historical': true }
  const batches: EventBatch[] = []
  const source = translated(
    { accept: async batch => void batches.push(batch) },
    { error: expect.unreachable },
  )
  const past = { ...said, event_id: '$past', origin_server_ts: 9, unsigned }
  const position = { kind: 'transaction', txnId: 't' } as const
  await source.accept({ position, events: [said, past], receipts: [] })
  expect(batches).toMatchObject([{ facts: [{ isHistory: false }, { isHistory: true }], newestAt: 1 }])
})

describe('describeRoom', () => {
  test('a direct chat of one login', () => {
    const event = bridge({ 'com.beeper.room_type': 'dm' }, { displayname: 'Ann', 'fi.mau.receiver': '237' })
    expect(describeRoom([event])).toEqual({
      kind: 'dm',
      bridgeBot: '@bot:s',
      channelId: '1@s',
      receiver: '237',
      name: 'Ann',
    })
  })

  test.each([
    ['status@broadcast', 'status'],
    ['120363144038483540@newsletter', 'channel'],
    ['12@g.us', 'group'],
    ['12@broadcast', 'group'],
  ])('the id %s is of a %s', (id, kind) => {
    expect(describeRoom([bridge({}, { id })]).kind).toBe(kind as never)
  })

  test('without a room type it is a group; the room name wins over the channel name', () => {
    expect(
      describeRoom([state('m.room.name', { name: 'Hikers' }), bridge({}, { displayname: 'x' })]),
    ).toMatchObject({
      kind: 'group',
      name: 'Hikers',
    })
  })

  test('spaces and encrypted rooms are known as such', () => {
    expect(describeRoom([state('m.room.create', { type: 'm.space' })]).kind).toBe('space')
    expect(describeRoom([bridge({ 'com.beeper.room_type': 'space' })]).kind).toBe('space')
    expect(describeRoom([state('m.room.encryption', { algorithm: 'x' })]).encrypted).toBe(true)
  })

  test('nonsense describes nothing', () => {
    expect(describeRoom([state('m.bridge', { channel: 'none' }), state('m.room.name', {})])).toEqual({})
    expect(factsOf({ ...bridge(), state_key: undefined })).toEqual([])
  })
})

describe('statusOf', () => {
  const ABOUT = { eventId: '$m', sender: '@bot:s' }
  const report = (content: Record<string, unknown>) =>
    statusOf({
      ...state('com.beeper.message_send_status', { 'm.relates_to': { event_id: '$m' }, ...content }),
      state_key: undefined,
    })

  test.each([
    [{ status: 'SUCCESS' }, { ...ABOUT, status: 'sent', reason: null }],
    [
      { status: 'SUCCESS', delivered_to_users: ['@a:s'] },
      { ...ABOUT, status: 'delivered', reason: null },
    ],
    [
      { status: 'FAIL_PERMANENT', reason: 'm.no_permission', message: 'You are not in the group' },
      { ...ABOUT, status: 'failed', reason: 'You are not in the group (m.no_permission)' },
    ],
    [
      { status: 'FAIL_RETRIABLE', reason: 'm.foreign_network_error' },
      { ...ABOUT, status: 'queued', reason: 'the network refused it (m.foreign_network_error)' },
    ],
  ])('%o', (content, expected) => {
    expect(report(content)).toEqual({ fact: 'status', ...expected } as never)
  })

  test('pending and nonsense change nothing', () => {
    expect(report({ status: 'PENDING' })).toBeNull()
    expect(report({ status: 'MAYBE' })).toBeNull()
  })
})
