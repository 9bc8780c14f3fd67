/** A new bridge is left alone until it has loaded its logins; a real server stops and starts. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createServer, type Server, type Socket } from 'node:net'
import { createBridges } from '../../../src/bridges/bridges.ts'
import { BridgeStarting, StartWatch } from '../../../src/bridges/start-watch.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { SignalPayloads } from '../../../src/domain/signals.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { freePort } from '../../support/program.ts'
import { SkippingClock } from '../../support/skipping-clock.ts'
import { waitFor } from '../../support/wait-for.ts'

const OK = 'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
const NOT_READY =
  'HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
const SETTLED_MS = 10_000

let port: number
let clock: SkippingClock
let watch: StartWatch
let answer: string
let questions: number
let log: string[]
/** The bridge's program; all its connections end with it. */
let running: { server: Server; connections: Set<Socket> } | undefined

beforeEach(() => {
  port = freePort()
  clock = new SkippingClock()
  answer = OK
  questions = 0
  log = []
})
afterEach(async () => {
  watch?.stop()
  await end()
})

async function begin(): Promise<void> {
  const connections = new Set<Socket>()
  const server = createServer(socket => {
    connections.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => {
      questions++
      socket.write(answer)
      if (answer.includes('Connection: close')) socket.end()
    })
  })
  running = { server, connections }
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
}

async function end(): Promise<void> {
  const one = running
  running = undefined
  if (!one) return
  const closed = new Promise(resolve => one.server.close(resolve))
  for (const connection of one.connections) connection.destroy()
  await closed
}

const logged = () =>
  createLogger('info', { destination: { write: line => void log.push(JSON.parse(line).msg) } })

function watching(at: Clock = clock): void {
  watch = new StartWatch({
    platform: 'wa',
    baseUrl: `http://127.0.0.1:${port}`,
    clock: at,
    logger: logged(),
  })
}

const verdict = () =>
  watch.check().then(
    () => 'ready',
    error => (error instanceof BridgeStarting ? 'starting' : error.message),
  )
/** Asks until the verdict is `wanted`. */
const untilVerdict = (wanted: string) => waitFor(async () => (await verdict()).includes(wanted))
const REFUSED = "the wa bridge can't be reached (connection refused)"

test('one that is there when we start counts as one that has just come up', async () => {
  await begin()
  watching()
  expect(await verdict()).toBe('starting')
  clock.skip(SETTLED_MS - 1_000)
  expect(await verdict()).toBe('starting')
  clock.skip(1_000)
  await untilVerdict('ready')
})

test('one that is not there can’t be asked, and as soon as it is there it is starting', async () => {
  watching()
  expect(await verdict()).toBe(REFUSED)
  await begin()
  expect(await verdict()).toBe('starting')
  expect(log).toEqual([
    "a bridge can't be reached yet",
    'a bridge has come up: it is left alone until it has loaded its logins',
  ])
})

test('one that is down stays refused after the stop, and nobody waits for it', async () => {
  watching()
  expect(await verdict()).toBe(REFUSED)
  watch.stop()
  expect(await verdict()).toBe(REFUSED)
  await expect(watch.started(15_000)).rejects.toThrow(REFUSED)
}, 10_000)

test('one that reports a state is ready at once', async () => {
  await begin()
  watching()
  expect(await verdict()).toBe('starting')
  watch.noteState()
  expect(await verdict()).toBe('ready')
})

test('one whose program was ended is not ready any more, before anybody has looked', async () => {
  await begin()
  watching()
  expect(await verdict()).toBe('starting')
  watch.noteState()
  expect(watch.isReady).toBe(true)
  watch.noteStopped()
  expect(watch.isReady).toBe(false)
})

test('a state that comes before we have seen the bridge counts as soon as it is seen', async () => {
  // The watch's clock stands still, so that no waiting makes the bridge ready.
  watching(new ManualClock())
  expect(await verdict()).toBe(REFUSED)
  await begin()
  watch.noteState()
  await untilVerdict('ready')
})

test('the last word of a program that has ended says nothing of the next one', async () => {
  await begin()
  watching()
  watch.noteState()
  await untilVerdict('ready')
  await end()
  await untilVerdict(REFUSED)
  watch.noteState()
  expect(await verdict()).toBe(REFUSED)
  await begin()
  expect(await verdict()).toBe('starting')
})

test('a restart between two questions is noticed, and each of two quick ones begins the wait anew', async () => {
  await begin()
  watching()
  watch.noteState()
  await untilVerdict('ready')
  await end()
  await begin()
  await untilVerdict('starting')
  clock.skip(SETTLED_MS - 2_000)
  expect(await verdict()).toBe('starting')
  await end()
  await begin()
  // Time waited for the earlier process doesn't count for this one.
  await waitFor(() => running?.connections.size)
  clock.skip(SETTLED_MS - 2_000)
  await untilVerdict('starting')
  clock.skip(SETTLED_MS)
  await untilVerdict('ready')
})

test('one that closes each connection after its answer, as HTTP/1.0 does, is not restarting all the time', async () => {
  answer = OK.replace('\r\n', '\r\nConnection: close\r\n')
  await begin()
  watching()
  watch.noteState()
  await untilVerdict('ready')
  for (let look = 0; look < 3; look++) {
    const before = questions
    clock.skip(1_000)
    await waitFor(() => questions > before)
    expect(await verdict()).toBe('ready')
  }
  await end()
  clock.skip(1_000)
  await untilVerdict(REFUSED)
})

test('one that says that it isn’t ready, as it can’t reach its homeserver, isn’t asked however long that takes', async () => {
  answer = NOT_READY
  await begin()
  watching()
  await untilVerdict("it says that it isn't ready yet")
  clock.skip(60_000)
  await untilVerdict("it says that it isn't ready yet")
  answer = OK
  await untilVerdict('starting')
})

test('one whose program was started just now is waited for, and one that is down is not', async () => {
  watching()
  await expect(watch.started(14_000)).rejects.toMatchObject({ code: 'bridge_unavailable' })
  watch.noteStarted()
  const started = watch.started(14_000)
  await begin()
  await untilVerdict('starting')
  watch.noteState()
  await started
})

test('one that answers a question it doesn’t know with a 500 is there', async () => {
  answer = OK.replace('404', '500').replace('application/json', 'text/html')
  await begin()
  watching()
  expect(await verdict()).toBe('starting')
})

test('the late rest of an answer is no sign of a restart', async () => {
  await begin()
  watching()
  watch.noteState()
  await untilVerdict('ready')
  answer = 'the rest\r\n\r\n'
  const before = questions
  clock.skip(1_000)
  await waitFor(() => questions > before)
  answer = OK
  clock.skip(1_000)
  await waitFor(() => questions > before + 1)
  expect(await verdict()).toBe('ready')
  expect(log).not.toContain("a bridge can't be reached any more")
})

test('an answer without an end is not taken for one', async () => {
  answer = 'x'.repeat(17 * 1024)
  await begin()
  watching(new ManualClock())
  expect(await verdict()).toContain('the request failed')
})

test('a report that it is starting doesn’t make it ready, and any other does', async () => {
  await begin()
  const signals = new Signals<SignalPayloads>()
  const told = (stateEvent: string) =>
    signals.emit('bridge-state', 'wa', { matrixUserId: null, loginId: null, stateEvent, errorCode: null })
  const bridges = createBridges({
    signals,
    bridges: [{ platform: 'wa', baseUrl: `http://127.0.0.1:${port}`, sharedSecret: 'secret' }],
    sessions: { actingAs: () => expect.unreachable() },
    clock: new ManualClock(),
    logger: logged(),
  })
  const ready = bridges.untilReady('wa', new AbortController().signal).then(() => true)
  await waitFor(() => log.length > 0)
  told('STARTING')
  expect(await Promise.race([ready, settled().then(() => false)])).toBe(false)
  told('CONNECTED')
  expect(await ready).toBe(true)
  bridges.stop()
})

test.each(['502', '503', '504'])('a proxy that answers %s in its place is not the bridge', async status => {
  answer = OK.replace('404', status)
  await begin()
  watching()
  expect(await verdict()).toContain(`HTTP ${status}`)
  answer = OK
  await untilVerdict('starting')
})

test('one that takes connections and says nothing can’t be reached', async () => {
  answer = ''
  await begin()
  watching()
  const told = verdict()
  await waitFor(() => questions)
  clock.skip(10_000)
  expect(await told).toContain('no answer in time')
})

describe('who links a device', () => {
  const started = () => watch.started(15_000)

  test('waits for a bridge that is starting', async () => {
    await begin()
    watching()
    const waits = started()
    expect(await verdict()).toBe('starting')
    watch.noteState()
    await waits
  })

  test('waits for one that was there a moment ago', async () => {
    await begin()
    watching()
    watch.noteState()
    await untilVerdict('ready')
    await end()
    await untilVerdict(REFUSED)
    const waits = started().then(() => 'linked')
    await untilVerdict(REFUSED)
    await begin()
    await untilVerdict('starting')
    watch.noteState()
    expect(await waits).toBe('linked')
  })

  test('is told after fifteen seconds that it takes too long', async () => {
    watching()
    await verdict()
    await begin()
    await untilVerdict('starting')
    await end()
    await untilVerdict(REFUSED)
    const waits = started().catch((error: GatewayError) => error)
    await verdict()
    clock.skip(15_000)
    expect(await waits).toMatchObject({ code: 'bridge_unavailable', message: REFUSED })
  })

  test('is told at once about one that isn’t there', async () => {
    watching()
    await expect(started()).rejects.toBeInstanceOf(GatewayError)
  }, 10_000)
})
