/** Reading once more after the homeserver couldn't reach us: which events, and when. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess } from '../../../src/matrix/account-access.ts'
import { createLookBack, type LookBack } from '../../../src/matrix/look-back.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import type { RoomEventBatch } from '../../../src/matrix/room-event.ts'
import { collectedLog } from '../../support/collected-log.ts'
import { type HomeserverStub, homeserverStub, matrixError } from '../../support/homeserver-stub.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { waitFor } from '../../support/wait-for.ts'

const USER = '@mg1:s'
const ROOM = '!chat:s'
let log: ReturnType<typeof collectedLog>

let clock: ManualClock
let stub: HomeserverStub
let rooms: Record<string, unknown>
let users: string[]
let batches: RoomEventBatch[]
let lookBack: LookBack
let stopping: AbortController
let running: Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  rooms = {}
  users = [USER]
  batches = []
  stopping = new AbortController()
  stub = homeserverStub(({ query }) =>
    query.get('user_id') === '@gone:s' ? matrixError(403, 'M_FORBIDDEN') : { next_batch: 's1', rooms },
  )
  log = collectedLog()
  const { logger } = log
  const access = createAppserviceAccess({ asToken: 'as', logger, signals: new Signals() })
  lookBack = createLookBack({
    calls: createMatrixCalls({ address: stub.address, access, clock }),
    sink: {
      async accept(batch) {
        if (batch.events.some(event => event.content.body === 'poison')) throw new Error('poisoned')
        batches.push(batch)
      },
    },
    positions: async () => users.map(userId => ({ userId })),
    clock,
    logger,
  })
  running = lookBack.worker.run(stopping.signal)
})
afterEach(async () => {
  stopping.abort()
  await running
})

const said = (id: string, more: Record<string, unknown> = {}) => ({
  event_id: id,
  sender: '@ghost:s',
  type: 'm.room.message',
  origin_server_ts: clock.now(),
  content: { body: id },
  ...more,
})
const statusOf = (id: string, message: string, status: string) =>
  said(id, {
    type: 'com.beeper.message_send_status',
    content: { 'm.relates_to': { event_id: message }, status },
  })

/** Moves the clock ahead as soon as the worker waits, and waits for `count` requests in all. */
async function lookedBack(ms: number, count: number) {
  await waitFor(() => clock.sleeping > 0, { what: 'the worker to wait' })
  await clock.advance(ms)
  await waitFor(() => stub.requests.length >= count && clock.sleeping > 0, { what: `${count} looks back` })
}

test('nothing is read until the homeserver pushes; then soon, a minute and ten minutes later', async () => {
  await waitFor(() => clock.sleeping > 0)
  expect(stub.requests).toEqual([])
  lookBack.stored(true)
  await lookedBack(5_000, 1)
  await lookedBack(55_000, 2)
  await lookedBack(540_000, 3)
  await clock.advance(3_000_000)
  expect(stub.requests).toHaveLength(3)
  expect(stub.requests[0]).toMatchObject({ method: 'GET', path: '/_matrix/client/v3/sync', token: 'as' })
  expect(stub.requests[0]?.query.get('user_id')).toBe(USER)
})

test('while the homeserver pushes what had waited, nothing is read that would overtake it', async () => {
  lookBack.stored(true)
  for (let second = 0; second < 20; second++) {
    await waitFor(() => clock.sleeping > 0)
    await clock.advance(1_000)
    lookBack.stored(false)
  }
  expect(stub.requests).toEqual([])
  await lookedBack(5_000, 1)
})

test('where it never is quiet it is read after ten minutes', async () => {
  lookBack.stored(true)
  for (let step = 0; step < 152; step++) {
    await waitFor(() => clock.sleeping > 0)
    await clock.advance(4_000)
    lookBack.stored(false)
  }
  expect(stub.requests.length).toBeGreaterThan(0)
})

test('a homeserver that can reach us and has nothing to push is asked after a minute', async () => {
  lookBack.reached()
  await waitFor(() => clock.sleeping > 0)
  await clock.advance(59_000)
  expect(stub.requests).toEqual([])
  await lookedBack(1_000, 1)
})

test('a homeserver that was away and is back is asked soon, and what was due stays due', async () => {
  lookBack.reached()
  await waitFor(() => clock.sleeping > 0)
  await clock.advance(10_000)
  lookBack.returned()
  await lookedBack(5_000, 1)
  lookBack.returned()
  await clock.advance(1_000)
  lookBack.reached()
  await lookedBack(4_000, 2)
})

test('what was said lately goes to receiving, oldest first, without a position of its own', async () => {
  rooms = {
    join: {
      [ROOM]: {
        timeline: {
          events: [
            said('$old', { origin_server_ts: clock.now() - 7 * 3_600_000 }),
            said('$state', { type: 'm.room.name', state_key: '' }),
            said('$one'),
            said('$two'),
          ],
        },
      },
    },
    invite: {
      '!new:s': {
        invite_state: {
          events: [
            { type: 'm.room.member', state_key: USER, sender: '@bot:s', content: { membership: 'invite' } },
          ],
        },
      },
    },
  }
  lookBack.stored(true)
  await lookedBack(5_000, 1)
  await waitFor(() => batches.length === 2)
  expect(batches.map(({ position }) => position)).toEqual([
    { kind: 'look_back', userId: USER },
    { kind: 'look_back', userId: USER },
  ])
  const told = batches.map(({ events }) =>
    events.map(({ event_id, room_id, content }) => [event_id, room_id, content.membership]),
  )
  expect(told).toEqual([
    [['', '!new:s', 'invite']],
    [
      ['', ROOM, 'join'],
      ['$one', ROOM, undefined],
      ['$two', ROOM, undefined],
    ],
  ])
})

test('of the statuses of a message only the last counts', async () => {
  rooms = {
    join: {
      [ROOM]: {
        timeline: {
          events: [
            statusOf('$1', '$sent', 'FAIL_RETRIABLE'),
            statusOf('$2', '$other', 'FAIL_RETRIABLE'),
            statusOf('$3', '$sent', 'SUCCESS'),
          ],
        },
      },
    },
  }
  lookBack.stored(true)
  await lookedBack(5_000, 1)
  await waitFor(() => batches.length === 1)
  expect(batches[0]?.events.map(event => event.event_id)).toEqual(['', '$2', '$3'])
})

test('a user who can not be looked for keeps nobody else from it', async () => {
  users = ['@gone:s', USER]
  rooms = { join: { [ROOM]: { timeline: { events: [said('$one')] } } } }
  lookBack.stored(true)
  await lookedBack(5_000, 2)
  await waitFor(() => batches.length === 1)
})

test('a room whose events can not be stored keeps none of the others from it', async () => {
  rooms = {
    join: {
      '!first:s': { timeline: { events: [said('poison')] } },
      [ROOM]: { timeline: { events: [said('$one')] } },
    },
  }
  lookBack.stored(true)
  await lookedBack(5_000, 1)
  await waitFor(() => batches.length === 1)
  expect(batches[0]?.events.map(event => event.event_id)).toContain('$one')
  await waitFor(() => log.text().includes('poisoned'))
})
