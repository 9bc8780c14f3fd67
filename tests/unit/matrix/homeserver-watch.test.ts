/** How it is noticed that a homeserver ended and came back. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createLogger } from '../../../src/lib/logger.ts'
import type { PeerAddress } from '../../../src/lib/peer-request.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess } from '../../../src/matrix/account-access.ts'
import { createHomeserverWatch } from '../../../src/matrix/homeserver-watch.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import { type HomeserverStub, homeserverStub, matrixError } from '../../support/homeserver-stub.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { waitFor } from '../../support/wait-for.ts'

const logger = createLogger('silent')

let clock: ManualClock
let stub: HomeserverStub
let users: string[]
let returns: number
/** How the requests that are kept open end. */
let open: ((answer: Response | object) => void)[]
let isDown: boolean
let stopping: AbortController
let running: Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  users = ['@mg1:s', '@mg2:s']
  returns = 0
  open = []
  isDown = false
  stopping = new AbortController()
  stub = homeserverStub(({ query, signal }) => {
    if (isDown) return new Response('', { status: 502 })
    if (query.get('since') === null) return { next_batch: 's1' }
    return new Promise((resolve, reject) => {
      open.push(resolve)
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  })
  running = watch(stub.address).run(stopping.signal)
})
afterEach(async () => {
  stopping.abort()
  await running
})

function watch(address: PeerAddress) {
  const access = createAppserviceAccess({ asToken: 'as', logger, signals: new Signals() })
  return createHomeserverWatch({
    calls: createMatrixCalls({ address, access, clock }),
    positions: async () => users.map(userId => ({ userId })),
    lookBack: {
      returned: () => {
        returns += 1
      },
    },
    clock,
    logger,
  })
}

/** Moves the clock ahead as soon as the worker waits. */
async function afterPause(ms: number) {
  await waitFor(() => clock.sleeping > 0, { what: 'the worker to wait' })
  await clock.advance(ms)
}
const isOpen = () => waitFor(() => open.length > 0, { what: 'a request that is kept open' })

test('a request of one of our users is kept open, one after the other', async () => {
  await afterPause(1_000)
  await isOpen()
  expect(stub.requests.at(-1)).toMatchObject({ method: 'GET', path: '/_matrix/client/v3/sync', token: 'as' })
  const asked = Object.fromEntries(stub.requests.at(-1)?.query ?? [])
  expect(asked).toMatchObject({ user_id: '@mg1:s', since: 's1', timeout: '25000' })
  open.pop()?.({ next_batch: 's2' })
  await afterPause(1_000)
  await isOpen()
  expect(stub.requests.at(-1)?.query.get('since')).toBe('s2')
  expect(returns).toBe(0)
})

test('one that breaks off is told as soon as the homeserver answers again, once', async () => {
  await afterPause(1_000)
  await isOpen()
  isDown = true
  open.pop()?.(new Response('', { status: 502 }))
  const asked = stub.requests.length
  await afterPause(1_000)
  await waitFor(() => stub.requests.length > asked, { what: 'another try' })
  expect(returns).toBe(0)
  isDown = false
  await afterPause(15_000)
  await isOpen()
  expect(returns).toBe(1)
})

test('a homeserver that limits is waited for as long as it asks, and was never away', async () => {
  await afterPause(1_000)
  await isOpen()
  open.pop()?.(matrixError(429, 'M_LIMIT_EXCEEDED', { retry_after_ms: 40_000 }))
  await waitFor(() => clock.nextWakeInMs === 40_000, { what: 'the wait for the limit' })
  await clock.advance(41_000)
  await isOpen()
  expect(returns).toBe(0)
})

test('where a user is gone another one asks; without any there is nothing to be missed', async () => {
  await afterPause(1_000)
  await isOpen()
  users = ['@mg2:s']
  open.pop()?.(matrixError(403, 'M_FORBIDDEN'))
  await afterPause(2_000)
  await isOpen()
  expect(stub.requests.at(-1)?.query.get('user_id')).toBe('@mg2:s')
  users = []
  open.pop()?.(matrixError(403, 'M_FORBIDDEN'))
  const asked = stub.requests.length
  await afterPause(2_000)
  await afterPause(60_000)
  expect(stub.requests.length).toBe(asked)
  expect(returns).toBe(0)
})

test('a stop ends the request that is open', async () => {
  await afterPause(1_000)
  await isOpen()
  stopping.abort()
  await running
  expect(returns).toBe(0)
})

test('one that is killed and back before anybody else asks was away: the request is not repeated on its own', async () => {
  stopping.abort()
  await running
  stopping = new AbortController()
  const requests: string[] = []
  const held: Bun.Socket[] = []
  let isBack = false
  using homeserver = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        requests.push(bytes.toString())
        if (!isBack && bytes.includes('since=')) held.push(socket)
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"next_batch":"s1"}`)
      },
    },
  })
  running = watch({ baseUrl: `http://127.0.0.1:${homeserver.port}` }).run(stopping.signal)
  await afterPause(1_000)
  await waitFor(() => held.length > 0, { what: 'a request that is kept open' })
  const asked = requests.length
  isBack = true
  for (const socket of held) socket.terminate()
  await afterPause(1_000)
  await waitFor(() => requests.length > asked && clock.sleeping > 0, { what: 'the next request' })
  expect(requests[asked]).not.toContain('since=')
  expect(returns).toBe(1)
})
