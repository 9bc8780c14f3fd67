/** The endpoint that homeservers push events to. */
import { describe, expect, test } from 'bun:test'
import { createLogger } from '../../../src/lib/logger.ts'
import { createAppserviceSource } from '../../../src/matrix/appservice-source.ts'
import type { RoomEventBatch } from '../../../src/matrix/room-event.ts'

const EVENT = {
  event_id: '$1',
  room_id: '!r:s',
  sender: '@a:s',
  type: 'm.room.message',
  origin_server_ts: 1,
  content: {},
}

function source(accept: (batch: RoomEventBatch) => Promise<void> = () => Promise.resolve()) {
  const batches: RoomEventBatch[] = []
  const recoveries: RoomEventBatch[][] = []
  const typing: unknown[] = []
  const sink = {
    typing: (...told: unknown[]) => void typing.push(told),
    accept: (batch: RoomEventBatch) => {
      batches.push(batch)
      return accept(batch)
    },
  }
  const stored = (isFirst: boolean) => void (isFirst && recoveries.push([...batches]))
  const lines: string[] = []
  const logger = createLogger('info', {
    format: 'json',
    destination: { write: line => void lines.push(line) },
  })
  const { fetch } = createAppserviceSource({ hsToken: 'hs', sink, lookBack: { stored }, logger })
  const call = (method: string, path: string, body?: unknown, token: string | null = 'hs') =>
    fetch(
      new Request(`http://x/_matrix/app/v1/${path}`, {
        method,
        headers: token === null ? {} : { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    )
  return { batches, typing, recoveries, call, log: () => lines.join('') }
}

test('a transaction becomes a batch, with receipts under either name; a malformed event does not stop it', async () => {
  const { batches, call } = source()
  const receipt = { type: 'm.receipt', room_id: '!r:s', content: { $1: { 'm.read': { '@g:s': { ts: 1 } } } } }
  const typing = { type: 'm.typing', room_id: '!r:s', content: { user_ids: [] } }
  const unstable = 'de.sorunome.msc2409.ephemeral'
  expect(
    (await call('PUT', 'transactions/7', { events: [EVENT, { nonsense: 1 }], ephemeral: [typing, receipt] }))
      .status,
  ).toBe(200)
  expect((await call('PUT', 'transactions/8', { events: [], [unstable]: [receipt] })).status).toBe(200)
  const receipts = [{ roomId: '!r:s', eventId: '$1', userId: '@g:s' }]
  expect(batches).toEqual([
    {
      position: { kind: 'transaction', txnId: expect.stringMatching(/^7\/[\w-]{22}$/) },
      events: [EVENT],
      receipts,
    },
    { position: { kind: 'transaction', txnId: expect.stringMatching(/^8\//) }, events: [], receipts },
  ])
})

describe('what a transaction is recognised by', () => {
  const idsOf = async (...transactions: object[]) => {
    const { batches, call } = source()
    for (const transaction of transactions) await call('PUT', 'transactions/1', transaction)
    return batches.map(({ position }) => (position.kind === 'transaction' ? position.txnId : ''))
  }
  const receipt = { type: 'm.receipt', room_id: '!r:s', content: { $1: { 'm.read': { '@g:s': { ts: 1 } } } } }

  test('sent again it is the same, also without its ephemeral events', async () => {
    const [first, again] = await idsOf({ events: [EVENT], ephemeral: [receipt] }, { events: [EVENT] })
    expect(again).toBe(first ?? '')
  })

  test('an id that is used again for other events is another transaction', async () => {
    const ids = await idsOf(
      { events: [EVENT] },
      { events: [{ ...EVENT, event_id: '$2' }] },
      { events: [], ephemeral: [receipt] },
      { events: [], ephemeral: [{ ...receipt, room_id: '!other:s' }] },
    )
    expect(new Set(ids).size).toBe(4)
  })
})

test('a homeserver that counts its transactions anew is told of, once: bridges lose messages then', async () => {
  const { call, log } = source()
  const told = () => log().split('counts its transactions anew').length - 1
  const take = async (...ids: string[]) => {
    for (const id of ids) await call('PUT', `transactions/${id}`, { events: [EVENT] })
  }
  // A repeat, one that was kept back, and ids that are no numbers.
  await take('7', '7', '9', '8', '10', 'other', 'names', '11')
  expect(told()).toBe(0)
  await take('1', '2', '3', '4', '5')
  expect(told()).toBe(1)
  expect(log()).toContain('PostgreSQL')
})

test('who types is told beside the batch, and is no batch by itself', async () => {
  const { batches, typing, call } = source()
  const notice = { type: 'm.typing', room_id: '!r:s', content: { user_ids: ['@g:s'] } }
  expect((await call('PUT', 'transactions/1', { events: [], ephemeral: [notice] })).status).toBe(200)
  expect(typing).toEqual([[[{ roomId: '!r:s', userIds: ['@g:s'] }], null]])
  expect(batches).toEqual([])
})

test('a receipt that can not be read does not stop the events beside it', async () => {
  const { batches, call } = source()
  expect((await call('PUT', 'transactions/1', { events: [EVENT], ephemeral: ['x'] })).status).toBe(200)
  expect(batches).toMatchObject([{ events: [EVENT], receipts: [] }])
})

test('what may have been kept back is asked for after the first one of a process, and after one that was refused', async () => {
  let isFull = false
  const { recoveries, call } = source(() =>
    isFull ? Promise.reject(new Error('no space')) : Promise.resolve(),
  )
  const push = (id: number) => call('PUT', `transactions/${id}`, { events: [] })
  await push(1)
  expect(recoveries).toHaveLength(1)
  await push(2)
  isFull = true
  await push(3)
  expect(recoveries).toHaveLength(1)
  isFull = false
  await push(3)
  expect(recoveries).toHaveLength(2)
})

test('it is not acknowledged when it could not be stored', async () => {
  const { call } = source(() => Promise.reject(new Error('disk full')))
  const response = await call('PUT', 'transactions/7', { events: [EVENT] })
  expect(response.status).toBe(503)
  expect(await response.json()).toEqual({ errcode: 'M_UNKNOWN', error: 'disk full' })
})

test('an event of a time that no clock shows is told of one that there is', async () => {
  const { batches, call } = source()
  const events = [1e20, -1e20].map(origin_server_ts => ({ ...EVENT, origin_server_ts }))
  expect((await call('PUT', 'transactions/1', { events })).status).toBe(200)
  const times = batches[0]?.events.map(event => new Date(event.origin_server_ts).getTime())
  expect(times).toEqual([8.64e15, 0])
})

test.each([
  ['no token', 'PUT', 'transactions/1', { events: [] }, null, 401, 'M_MISSING_TOKEN'],
  ['a wrong token', 'PUT', 'transactions/1', { events: [] }, 'other', 403, 'M_FORBIDDEN'],
  ['no JSON', 'PUT', 'transactions/1', '{', 'hs', 400, 'M_BAD_JSON'],
  ['a malformed id', 'PUT', 'transactions/%zz', { events: [] }, 'hs', 400, 'M_INVALID_PARAM'],
  ['too much', 'PUT', 'transactions/1', ' '.repeat(33 * 1024 * 1024), 'hs', 413, 'M_TOO_LARGE'],
  ['an unknown user', 'GET', 'users/@x:s', undefined, 'hs', 404, 'M_NOT_FOUND'],
  ['an unknown path', 'GET', 'nothing', undefined, 'hs', 404, 'M_UNRECOGNIZED'],
])('%s', async (_, method, path, body, token, status, errcode) => {
  const { batches, call } = source()
  const response = await call(method, path, body, token)
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject({ errcode })
  expect(batches).toEqual([])
})

test('a ping is answered', async () => {
  expect((await source().call('POST', 'ping', { transaction_id: 'x' })).status).toBe(200)
})
