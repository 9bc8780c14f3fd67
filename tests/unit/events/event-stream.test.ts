/** The feed as server-sent events over real HTTP, also to a client that doesn't read. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { GatewayError } from '../../../src/domain/errors.ts'
import { createEventStream } from '../../../src/http/routes/events/event-stream.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { LiveEvents } from '../../../src/modules/events/live-events.ts'
import { type EventReader, openEvents } from '../../support/event-source.ts'
import { testFeed } from '../../support/test-feed.ts'
import { waitFor } from '../../support/wait-for.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
let feed: ReturnType<typeof testFeed>
let live: LiveEvents
let server: ReturnType<typeof Bun.serve>
let isAdmitted: boolean
/** How many events were made ready to be sent. */
let loaded: number
let isFileThere: boolean
let warnings: unknown[][]
const opened: EventReader[] = []

beforeEach(() => {
  scene = new WebhookScene()
  isAdmitted = true
  isFileThere = true
  loaded = 0
  warnings = []
  const filling = 'x'.repeat(512 * 1024)
  live = new LiveEvents()
  feed = testFeed({
    ...scene,
    live,
    payloads: async payload => {
      const { message } = payload as { message: string }
      if (message === 'file' && !isFileThere) throw new GatewayError('homeserver_unavailable', 'not now')
      loaded += 1
      return message === 'large' ? { ...payload, filling } : payload
    },
  })
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const names = new URL(request.url).searchParams.get('events')?.split(',')
      const after = request.headers.get('last-event-id') ?? undefined
      const reader = await feed.open('id_1', { after, events: names, isLive: true })
      const readmit = async () => {
        if (!isAdmitted) throw new GatewayError('forbidden', 'the token is gone')
      }
      const { clock } = scene
      const logger = { ...silentLogger, warn: (...line: unknown[]) => void warnings.push(line) }
      const stream = createEventStream({ reader, readmit, stopping: feed.stopping, clock, logger })
      return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
    },
  })
})
afterEach(async () => {
  for (const reader of opened.splice(0)) await reader[Symbol.asyncDispose]()
  await server.stop(true)
  await scene.destroy()
})

async function follow(query = '', lastId?: string): Promise<EventReader> {
  const reader = await openEvents(`http://127.0.0.1:${server.port}/${query}`, 'token', lastId)
  opened.push(reader)
  return reader
}

/** Lets time go by while something is awaited that time brings. */
async function meanwhile<T>(awaited: Promise<T>, stepMs = 500): Promise<T> {
  let isOver = false
  const watched = awaited.finally(() => {
    isOver = true
  })
  await waitFor(
    async () => {
      if (!isOver) await scene.clock.advance(stepMs)
      return isOver
    },
    { what: 'what time brings' },
  )
  return watched
}

test('each event has its id, its name, and the body that a webhook gets', async () => {
  await scene.happens('1')
  const stream = await follow()
  const [event] = await stream.take(1)
  expect(event).toMatchObject({
    id: expect.stringMatching(/^[\w-]{22}$/),
    event: 'message.received',
    data: { event: 'message.received', message: '1' },
  })
  expect(stream.retryMs).toBe(3_000)
})

test('what happens is sent at once, and a client that was away gets what it missed', async () => {
  const stream = await follow()
  await scene.happens('1')
  const [first] = await stream.take(1)
  await stream[Symbol.asyncDispose]()
  for (const text of ['2', '3']) await scene.happens(text)
  const again = await follow('', first?.id)
  await scene.happens('4')
  expect((await again.take(3)).map(({ data }) => (data as { message: string }).message)).toEqual([
    '2',
    '3',
    '4',
  ])
})

const TYPING = {
  event: 'chat.typing',
  timestamp: '2026-04-27T09:00:00.000Z',
  device_id: '237',
  platform: 'wa',
  chat_id: 'chat_1',
  chat: { id: '!r:s', kind: 'dm', name: 'Jonas' },
  sender: { id: '@whatsapp_1:s', phone: '1', name: 'Jonas' },
  typing: true,
} as const

test('who types is told at once to whoever names it, and moves nobody’s place', async () => {
  const [stream, another] = [await follow('?events=chat.typing,*'), await follow('?events=*')]
  await scene.happens('1')
  const [first] = await stream.take(1)
  live.tell('id_1', TYPING)
  live.tell('id_2', { ...TYPING, typing: false })
  expect(await stream.take(1)).toEqual([{ id: first?.id ?? '', event: 'chat.typing', data: TYPING }])
  await scene.happens('2')
  for (const reader of [stream, another])
    expect((await reader.take(reader === another ? 2 : 1)).at(-1)?.data).toMatchObject({ message: '2' })
  for (const reader of opened.splice(0)) await reader[Symbol.asyncDispose]()
  await waitFor(() => !live.isHeard, { what: 'nobody listens any more' })
})

test('a sign of life comes while nothing happens, with the place behind what the filter leaves out', async () => {
  await scene.happens('1')
  const stream = await follow('?events=message.deleted')
  const next = stream.next()
  await meanwhile(waitFor(() => stream.comments > 0, { what: 'a comment' }))
  await scene.happens('2', { name: 'message.deleted' })
  expect((await meanwhile(next))?.data).toMatchObject({ message: '2' })
  const reader = await feed.open('id_1', { after: stream.lastId })
  expect((await reader.next(10, 0)).events).toEqual([])
  reader.close()
})

test('it comes also when the clock is set back', async () => {
  const stream = await follow()
  const next = stream.next()
  await scene.idle()
  scene.clock.set(-24 * 3_600_000)
  // Far less than what the clock was set by goes by.
  for (let step = 0; step < 60 && stream.comments === 0; step++) await scene.pass(500, 1)
  // Its way over the socket takes as long as it takes.
  await waitFor(() => stream.comments > 0, { what: 'a comment' })
  await scene.happens('1')
  expect(await next).not.toBeNull()
})

test('it ends when the token is no longer good', async () => {
  const stream = await follow()
  const end = stream.next()
  isAdmitted = false
  expect(await meanwhile(end)).toBeNull()
})

test('what happens after the token is gone is not sent, though the stream was waiting for it', async () => {
  const stream = await follow()
  const next = stream.next()
  await scene.idle()
  isAdmitted = false
  await scene.happens('secret')
  expect(await next).toBeNull()
})

test('it ends when the gateway stops', async () => {
  const stream = await follow()
  const end = stream.next()
  await scene.idle()
  feed.stop()
  expect(await end).toBeNull()
})

test('it ends when what comes next is no longer kept', async () => {
  await scene.happens('1')
  const stream = await follow()
  const [first] = await stream.take(1)
  const end = stream.next()
  await scene.idle()
  scene.db.connection.run('UPDATE identities SET feed_gone_seq = 1000')
  expect(await meanwhile(end)).toBeNull()
  await expect(feed.open('id_1', { after: first?.id })).rejects.toMatchObject({ code: 'gone' })
})

test('a file that cannot be fetched for now is waited for', async () => {
  isFileThere = false
  for (const text of ['1', 'file', '3']) await scene.happens(text)
  const stream = await follow()
  await stream.take(1)
  const next = stream.next()
  await scene.pass(10_000)
  expect(warnings[0]).toEqual([{ err: expect.any(GatewayError) }, 'a stream of events stands still'])
  isFileThere = true
  expect((await meanwhile(next))?.data).toMatchObject({ message: 'file' })
})

test('a client that doesn’t read costs a few events, however many there are; and gets all of them in the end', async () => {
  const COUNT = 100
  for (let index = 0; index < COUNT; index++) await scene.happens('large')
  const socket = connect(server.port as number, '127.0.0.1')
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  // The sockets' buffers and a page, far less than the 50 MB that there are.
  await waitFor(() => loaded > 0, { what: 'the first event' })
  let before = -1
  await waitFor(
    async () => {
      const isStill = loaded === before
      before = loaded
      await Bun.sleep(200)
      return isStill
    },
    { what: 'the stream to stand still' },
  )
  expect(loaded).toBeLessThan(COUNT / 2)
  let received = 0
  socket.on('data', chunk => {
    received += chunk.length
  })
  socket.resume()
  await waitFor(() => received > COUNT * 512 * 1024, { what: 'all events', deadlineMs: 20_000 })
  socket.destroy()
})

test('who hangs up gives the place back', async () => {
  for (let index = 0; index < 60; index++) {
    const stream = await waitFor(
      async () => {
        const candidate = await follow()
        return candidate.response.status === 200 && candidate
      },
      { what: 'a place' },
    )
    await stream[Symbol.asyncDispose]()
  }
})
