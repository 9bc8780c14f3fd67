/** The /sync loops at a scripted homeserver: what they hand on, their positions, and bad days. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { SyncPosition } from '../../../src/domain/ports.ts'
import type { SignalPayloads } from '../../../src/domain/signals.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { AnswerRefused } from '../../../src/lib/peer-request.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import type { RoomEventBatch } from '../../../src/matrix/room-event.ts'
import { createSyncManager, type SyncManager } from '../../../src/matrix/sync/sync-manager.ts'
import { homeserverStub, matrixError, type StubRequest } from '../../support/homeserver-stub.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { waitFor } from '../../support/wait-for.ts'

const USER = '@mg1:s'
const ROOM = '!r:s'
const message = (id: string) => ({
  event_id: id,
  sender: '@g:s',
  type: 'm.room.message',
  origin_server_ts: 1,
  content: { msgtype: 'm.text', body: id },
})

let clock: ManualClock
let signals: Signals<SignalPayloads>
let manager: SyncManager
let positions: SyncPosition[]
let batches: RoomEventBatch[]
let accept: (batch: RoomEventBatch) => Promise<void>
/** Answers of /sync in turn; after the last, long polls end with nothing. */
let answers: (object | Response)[]
/** Answers of /messages in turn. */
let pages: object[]
let requests: StubRequest[]
/** The homeserver answers no more. */
let isSilent: boolean
/** Before an answer of /sync. */
let onSync: () => void
let typing: unknown[]
let stop: () => Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  positions = [{ userId: USER, since: 's1' }]
  batches = []
  typing = []
  accept = async () => undefined
  answers = []
  pages = []
  isSilent = false
  onSync = () => undefined
})
afterEach(() => stop())

function start() {
  const stub = homeserverStub(request => {
    if (request.path.endsWith('/messages')) return pages.shift() ?? { chunk: [] }
    onSync()
    return answers.shift() ?? nothingToTell(request)
  })
  requests = stub.requests
  const calls = createMatrixCalls({
    address: stub.address,
    access: {
      of: async userId => ({ accessToken: `token of ${userId}`, query: {} }),
      refused: () => Promise.reject(new Error('revoked')),
      accepted: () => undefined,
      trouble: () => null,
    },
    clock,
  })
  signals = new Signals()
  manager = createSyncManager({
    calls,
    sink: {
      typing: (...told) => void typing.push(told),
      accept: async batch => {
        await accept(batch)
        batches.push(batch)
      },
    },
    positions: async () => positions,
    signals,
    clock,
    logger: silentLogger,
  })
  const controller = new AbortController()
  const running = manager.worker.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  return idle()
}

const nothingToTell = ({ query, signal }: StubRequest) => {
  const { promise, resolve, reject } = Promise.withResolvers<object>()
  signal.addEventListener('abort', () => reject(signal.reason))
  const timeoutMs = isSilent ? Number.POSITIVE_INFINITY : Number(query.get('timeout'))
  const told = timeoutMs === 0 ? Promise.resolve() : clock.sleep(timeoutMs, signal)
  void told.then(() => resolve({ next_batch: query.get('since') ?? 's0' }))
  return promise
}
const syncs = () => requests.filter(({ path }) => path.endsWith('/sync'))
const sinces = () => syncs().map(({ query }) => query.get('since'))
async function idle() {
  for (let turn = 0; turn < 10; turn++) await settled()
}
const withTimeline = (next: string, timeline: object, more: object = {}) => ({
  next_batch: next,
  rooms: { join: { [ROOM]: { timeline, ...more } } },
})

describe('what is asked', () => {
  test('at once first, then as a long poll; as the user, not online, and only for what matters', async () => {
    answers = [{ next_batch: 's2' }]
    await start()
    expect(
      syncs().map(({ token, query }) => [token, query.get('timeout'), query.get('set_presence')]),
    ).toEqual([
      [`token of ${USER}`, '0', 'offline'],
      [`token of ${USER}`, '30000', 'offline'],
    ])
    expect(sinces()).toEqual(['s1', 's2'])
    const filter = JSON.parse(syncs()[1]?.query.get('filter') ?? '')
    expect(filter).toMatchObject({
      presence: { not_types: ['*'] },
      account_data: { not_types: ['*'] },
      room: { state: { lazy_load_members: true }, ephemeral: { types: ['m.receipt', 'm.typing'] } },
    })
  })

  test('a request that is never answered is given up', async () => {
    isSilent = true
    await start()
    expect(syncs()).toHaveLength(1)
    await clock.advance(30_000)
    await idle()
    expect(manager.health()).toMatchObject({ failing: 1 })
  })
})

describe('what is handed on', () => {
  test('state, timeline and receipts with the new position', async () => {
    const name = { ...message('$n'), type: 'm.room.name', state_key: '', content: { name: 'Ada' } }
    const receipt = { type: 'm.receipt', content: { $1: { 'm.read': { '@g:s': { ts: 1 } } } } }
    answers = [
      withTimeline(
        's2',
        { events: [message('$1'), { nonsense: 1 }] },
        { state: { events: [name] }, ephemeral: { events: [receipt] } },
      ),
    ]
    await start()
    expect(batches).toEqual([
      {
        position: { kind: 'sync', userId: USER, nextBatch: 's2' },
        events: [
          { ...name, room_id: ROOM, unsigned: { 'org.meshgate.state_before': true } },
          { ...message('$1'), room_id: ROOM },
        ],
        receipts: [{ roomId: ROOM, eventId: '$1', userId: '@g:s' }],
      },
    ])
  })

  test('who types, to the user who was told, without a position of its own', async () => {
    const notice = { type: 'm.typing', content: { user_ids: ['@g:s'] } }
    answers = [withTimeline('s2', { events: [] }, { ephemeral: { events: [notice] } })]
    await start()
    expect(typing).toContainEqual([[{ roomId: ROOM, userIds: ['@g:s'] }], USER])
    expect(batches).toEqual([])
  })

  test('what a limited timeline leaves out, in order and once', async () => {
    answers = [
      withTimeline('s2', { events: [message('$5'), message('$6')], limited: true, prev_batch: 'p5' }),
    ]
    pages = [
      { chunk: [message('$5'), message('$4'), message('$3')], end: 'p3' },
      { chunk: [message('$2')], end: 'p2' },
      { chunk: [] },
    ]
    await start()
    expect(batches[0]?.events.map(({ event_id: id }) => id)).toEqual(['$2', '$3', '$4', '$5', '$6'])
    const asked = requests.filter(({ path }) => path.endsWith('/messages'))
    expect(asked.map(({ query }) => [query.get('dir'), query.get('from'), query.get('to')])).toEqual([
      ['b', 'p5', 's1'],
      ['b', 'p3', 's1'],
      ['b', 'p2', 's1'],
    ])
  })

  test('a gap that may not be read does not stop the rest', async () => {
    answers = [withTimeline('s2', { events: [message('$5')], limited: true, prev_batch: 'p5' })]
    pages = [matrixError(403, 'M_FORBIDDEN')]
    await start()
    expect(batches[0]?.events.map(({ event_id: id }) => id)).toEqual(['$5'])
  })

  test('a gap that can not be read now is read again before the position moves', async () => {
    const answer = withTimeline('s2', { events: [message('$5')], limited: true, prev_batch: 'p5' })
    answers = [answer, answer]
    pages = [matrixError(500, 'M_UNKNOWN'), { chunk: [message('$4')] }]
    await start()
    expect(batches).toEqual([])
    await clock.advance(2_000)
    await idle()
    expect(batches[0]?.events.map(({ event_id: id }) => id)).toEqual(['$4', '$5'])
    expect(sinces()).toEqual(['s1', 's1', 's2'])
  })

  test('an invitation as the member event that it is, after the end of what was before', async () => {
    const invitation = {
      type: 'm.room.member',
      sender: '@bot:s',
      state_key: USER,
      content: { membership: 'invite', is_direct: true },
    }
    answers = [
      { next_batch: 's2', rooms: { invite: { [ROOM]: { invite_state: { events: [invitation] } } } } },
    ]
    await start()
    expect(batches[0]?.events).toMatchObject([
      { type: 'm.room.member', room_id: ROOM, state_key: USER, content: { membership: 'leave' } },
      {
        type: 'm.room.member',
        room_id: ROOM,
        state_key: USER,
        sender: '@bot:s',
        content: { membership: 'invite', is_direct: true },
      },
    ])
  })

  test('what was said until we had to leave', async () => {
    answers = [{ next_batch: 's2', rooms: { leave: { [ROOM]: { timeline: { events: [message('$1')] } } } } }]
    await start()
    expect(batches[0]?.events).toMatchObject([
      { event_id: '$1' },
      { type: 'm.room.member', state_key: USER, content: { membership: 'leave' } },
    ])
  })
})

describe('a first sync', () => {
  test('takes a position, invitations, and which rooms we are in, and nothing that was said', async () => {
    positions = [{ userId: USER, since: null }]
    answers = [
      {
        next_batch: 's1',
        rooms: {
          join: { [ROOM]: { timeline: { events: [message('$old')], limited: true, prev_batch: 'p' } } },
          invite: { '!i:s': { invite_state: { events: [] } } },
        },
      },
      { next_batch: 's2' },
    ]
    await start()
    expect(batches[0]?.events.map(({ room_id: room, content }) => [room, content.membership])).toEqual([
      ['!i:s', 'leave'],
      ['!i:s', 'invite'],
      [ROOM, 'join'],
    ])
    expect(requests.every(({ path }) => path.endsWith('/sync'))).toBe(true)
    expect(sinces()).toEqual([null, 's1', 's2'])
  })

  test('that brings nothing stores its position all the same', async () => {
    positions = [{ userId: USER, since: null }]
    answers = [{ next_batch: 's1' }]
    await start()
    expect(batches.map(({ position }) => position)).toEqual([{ kind: 'sync', userId: USER, nextBatch: 's1' }])
  })
})

describe('the position', () => {
  test('stays where it was when the events could not be stored', async () => {
    let failures = 1
    accept = async () => {
      if (failures-- > 0) throw new Error('disk full')
    }
    const answer = withTimeline('s2', { events: [message('$1')] })
    answers = [answer, answer]
    await start()
    expect(manager.health()).toMatchObject({ failing: 1, failure: 'disk full' })
    await clock.advance(2_000)
    await idle()
    expect(sinces()).toEqual(['s1', 's1', 's2'])
    expect(batches).toHaveLength(1)
    expect(manager.health()).toMatchObject({ failing: 0, failure: null })
  })

  test('that brought nothing is written only after a while', async () => {
    answers = [{ next_batch: 's2' }]
    await start()
    expect(batches).toEqual([])
    for (let minute = 0; minute < 9; minute++) {
      await clock.advance(60_000)
      await idle()
    }
    expect(batches).toEqual([])
    await clock.advance(120_000)
    await idle()
    expect(batches.map(({ position }) => position)).toEqual([{ kind: 'sync', userId: USER, nextBatch: 's2' }])
  })
})

describe('a bad day', () => {
  test('a rate limit is waited for as long as the homeserver says', async () => {
    answers = [matrixError(429, 'M_LIMIT_EXCEEDED', { retry_after_ms: 90_000 }), { next_batch: 's2' }]
    await start()
    await clock.advance(89_999)
    await idle()
    expect(syncs()).toHaveLength(1)
    await clock.advance(1)
    await idle()
    expect(sinces()).toEqual(['s1', 's1', 's2'])
  })

  test('an outage is met with ever longer waits, and told with how long it lasts', async () => {
    answers = Array.from({ length: 8 }, () => new Response('', { status: 502 }))
    await start()
    const since = clock.now()
    for (let second = 0; second < 120; second++) {
      await clock.advance(1_000)
      await idle()
    }
    expect(syncs().length).toBeGreaterThan(4)
    expect(syncs().length).toBeLessThan(10)
    expect(manager.health()).toMatchObject({ loops: 1, oldestSyncAt: null })
    expect(manager.stateOf(USER)?.failure).toContain('HTTP 502')
    answers = [{ next_batch: 's2' }]
    await clock.advance(120_000)
    await idle()
    expect(manager.stateOf(USER)).toMatchObject({ failure: null })
    expect(manager.health().oldestSyncAt).toBeGreaterThan(since)
  })
})

describe('identities', () => {
  test('that are new begin at once, those that were retired end', async () => {
    answers = [{ next_batch: 's2' }]
    await start()
    positions = [...positions, { userId: '@mg2:s', since: null }]
    signals.emit('identity-created')
    await idle()
    expect(syncs().at(-1)?.token).toBe('token of @mg2:s')
    expect(manager.health().loops).toBe(2)
    const ofFirst = syncs().findLast(({ token }) => token === `token of ${USER}`)
    positions = positions.slice(1)
    signals.emit('identity-created')
    await idle()
    expect(manager.health().loops).toBe(1)
    expect(ofFirst?.signal.aborted).toBe(true)
  })

  test('by the hundred begin a few at a time', async () => {
    positions = Array.from({ length: 100 }, (_, index) => ({ userId: `@mg${index}:s`, since: 's1' }))
    isSilent = true
    await start()
    expect(syncs()).toHaveLength(16)
  })

  test('all end at once when the gateway stops', async () => {
    positions = Array.from({ length: 100 }, (_, index) => ({ userId: `@mg${index}:s`, since: 's1' }))
    await start()
    await waitFor(() => syncs().length === 200)
    await stop()
    expect(syncs().filter(({ signal }) => signal.aborted).length).toBeGreaterThanOrEqual(100)
    expect(manager.health().loops).toBe(0)
  })
})

test('an answer that is too large is asked for with less of each chat, until one was taken', async () => {
  let isLarge = true
  answers = [{ next_batch: 's2' }]
  onSync = () => {
    if (isLarge) throw new AnswerRefused('the answer is larger than 1 bytes')
  }
  await start()
  isLarge = false
  await clock.advance(5_000)
  await idle()
  const limits = requests
    .filter(({ path }) => path.endsWith('/sync'))
    .map(({ query }) => JSON.parse(query.get('filter') ?? '').room.timeline.limit)
  expect(limits).toEqual([50, 1, 50])
})
