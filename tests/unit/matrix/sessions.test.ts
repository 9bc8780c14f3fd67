/** Sending to homeservers that forget transactions: a repeat finds the event and sends none. */
import { expect, test } from 'bun:test'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess } from '../../../src/matrix/account-access.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import { createMatrixSessions } from '../../../src/matrix/sessions.ts'
import { homeserverStub } from '../../support/homeserver-stub.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const USER = '@mg1:s'
const FIELD = 'org.meshgate.transaction_id'

/** A room of a homeserver that takes every send for a new one. */
function forgetful(forgetsTransactions = true) {
  const room: { event_id: string; sender: string; type: string; content: Record<string, unknown> }[] = []
  const { address, requests } = homeserverStub(({ method, body }) => {
    if (method === 'GET')
      return { chunk: room.toReversed().map(event => ({ ...event, origin_server_ts: 1, room_id: '!r:s' })) }
    const event_id = `$${room.length + 1}`
    room.push({ event_id, sender: USER, type: 'm.room.message', content: body })
    return { event_id }
  })
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
  const session = createMatrixSessions(calls, !forgetsTransactions).actingAs(USER)
  const send = (txnId: string, isRepeat?: boolean) =>
    session.send('!r:s', 'm.room.message', { body: 'hello' }, txnId, isRepeat)
  return { room, requests, send }
}

test('a repeat of what has arrived answers its event', async () => {
  const { send, room } = forgetful()
  await send('t1', false)
  const second = await send('t2', false)
  expect(await send('t2', true)).toBe(second)
  expect(room.map(({ content }) => content)).toEqual([
    { body: 'hello', [FIELD]: 't1' },
    { body: 'hello', [FIELD]: 't2' },
  ])
})

test('a repeat of what never arrived is sent', async () => {
  const { send, room } = forgetful()
  await send('t1', false)
  expect(await send('t2', true)).toBe('$2')
  expect(room).toHaveLength(2)
})

test('looks among its own messages alone', async () => {
  const { send, requests } = forgetful()
  await send('t1', true)
  const filter = JSON.parse(requests[0]?.query.get('filter') ?? '')
  expect(filter).toEqual({ senders: [USER], types: ['m.room.message'] })
})

test.each([
  ['what can’t be repeated', true, undefined],
  ['a homeserver that keeps its transactions', false, true],
] as const)('%s is sent as it is', async (_what, forgetsTransactions, isRepeat) => {
  const { send, room, requests } = forgetful(forgetsTransactions)
  await send('t1', isRepeat)
  expect(room.map(({ content }) => content)).toEqual([{ body: 'hello' }])
  expect(requests).toHaveLength(1)
})

test('only our own homeserver takes events together', async () => {
  const { address, requests } = homeserverStub(() => ({ event_ids: ['$1'] }))
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
  const events = [
    { txnId: 't1', content: { body: 'one' } },
    { txnId: 't2', content: { body: 'two' } },
  ]
  const ours = createMatrixSessions(calls, true).actingAs(USER)
  expect(await ours.sendTogether?.('!r:s', 'm.room.message', events)).toEqual(['$1'])
  expect(requests[0]).toMatchObject({
    path: '/_matrix/client/unstable/org.meshgate/rooms/!r:s/send/m.room.message',
    body: { events: events.map(({ txnId, content }) => ({ txn_id: txnId, content })) },
  })
  expect(createMatrixSessions(calls, false).actingAs(USER).sendTogether).toBeUndefined()
})

test('sets state by its key, and shows the user as typing for a while', async () => {
  const { address, requests } = homeserverStub(({ path }) =>
    path.includes('/state/') ? { event_id: '$1' } : {},
  )
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
  const session = createMatrixSessions(calls, true).actingAs(USER)
  expect(await session.sendState('!r:s', 'm.room.member', '@wa_1:s', { membership: 'invite' })).toBe('$1')
  await session.typing('!r:s', 10_000)
  await session.typing('!r:s', null)
  expect(requests.map(({ path, body }) => [path, body])).toEqual([
    ['/_matrix/client/v3/rooms/!r:s/state/m.room.member/@wa_1:s', { membership: 'invite' }],
    ['/_matrix/client/v3/rooms/!r:s/typing/@mg1:s', { typing: true, timeout: 10_000 }],
    ['/_matrix/client/v3/rooms/!r:s/typing/@mg1:s', { typing: false }],
  ])
})
