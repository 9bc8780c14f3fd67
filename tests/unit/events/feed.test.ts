/** The event feed on a real database: order, no gaps under load, filters, waiting, limits. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { events, identities, settings } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { StoredEvent } from '../../../src/domain/events.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import type { FeedPage, FeedRequest } from '../../../src/modules/events/events.ts'
import { createFeedRepository } from '../../../src/modules/events/feed-repository.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { testFeed } from '../../support/test-feed.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
let feed: ReturnType<typeof testFeed>
beforeEach(() => {
  scene = new WebhookScene()
  insertIdentity(scene.db, 'id_2', '@mg2:s')
  feed = testFeed(scene)
})
afterEach(() => scene.destroy())

async function read(request: FeedRequest & { limit?: number; identityId?: string } = {}): Promise<FeedPage> {
  const reader = await feed.open(request.identityId ?? 'id_1', request)
  try {
    return await reader.next(request.limit ?? 100, 0)
  } finally {
    reader.close()
  }
}
const payloads = ({ events }: FeedPage) => events.map(({ payload }) => JSON.parse(payload))
const texts = (page: FeedPage) => payloads(page).map(({ message }) => message)

test('everything there is, oldest first, as webhooks get it; and from any place on', async () => {
  for (const text of ['1', '2', '3']) await scene.happens(text)
  const page = await read()
  expect(texts(page)).toEqual(['1', '2', '3'])
  expect(page.events[0]).toEqual({
    id: expect.stringMatching(/^[\w-]{22}$/),
    event: 'message.received',
    payload: expect.any(String),
  })
  expect(payloads(page)[0]).toEqual({
    event: 'message.received',
    message: '1',
    is_contact: false,
    media: null,
  })
  expect(texts(await read({ after: page.events[0]?.id }))).toEqual(['2', '3'])
  expect(page.next).toBe(page.events[2]?.id as string)
  expect(await read({ after: page.next })).toEqual({ events: [], next: page.next })
  const two = await read({ limit: 2 })
  expect([texts(two), texts(await read({ after: two.next }))]).toEqual([['1', '2'], ['3']])
})

test('from now on alone', async () => {
  await scene.happens('before')
  const { events, next } = await read({ after: 'now' })
  expect(events).toEqual([])
  await scene.happens('after')
  expect(texts(await read({ after: next }))).toEqual(['after'])
})

test('of one identity alone', async () => {
  await scene.happens('1')
  expect((await read({ identityId: 'id_2' })).events).toEqual([])
  const { next } = await read()
  const wrong = { code: 'bad_request', message: expect.stringContaining('after: expected') }
  await expect(read({ identityId: 'id_2', after: next })).rejects.toMatchObject(wrong)
  await expect(read({ after: '17' })).rejects.toMatchObject(wrong)
})

test('places survive a restart', async () => {
  await scene.happens('1')
  const { next } = await read()
  feed = testFeed(scene)
  await scene.happens('2')
  expect(texts(await read({ after: next }))).toEqual(['2'])
  expect(scene.db.orm.select().from(settings).all()).toHaveLength(1)
})

describe('a filter', () => {
  test('passes what is asked for, however rare, and moves on over the rest', async () => {
    for (let index = 0; index < 1_200; index++) {
      await scene.happens(`${index}`, { name: index % 400 === 399 ? 'message.deleted' : 'message.received' })
    }
    const page = await read({ events: ['message.deleted', 'message.status'] })
    expect(texts(page)).toEqual(['399', '799', '1199'])
    const none = await read({ events: ['device.connected'] })
    expect(none.events).toEqual([])
    expect((await read({ after: none.next })).events).toEqual([])
  })

  test('that names none leaves out what one has to name, however much of it; `*` gives all', async () => {
    await scene.happens('first')
    for (let index = 0; index < 510; index++) await scene.happens('post', { name: 'status.posted' })
    await scene.happens('last')
    expect(texts(await read())).toEqual(['first', 'last'])
    const few = await read({ limit: 1 })
    expect(texts(await read({ after: few.next }))).toEqual(['last'])
    expect(texts(await read({ events: ['*'], limit: 2 }))).toEqual(['first', 'post'])
    expect(texts(await read({ events: ['status.posted'], limit: 2 }))).toEqual(['post', 'post'])
  })

  test('of several names gives the events in the order in which they came', async () => {
    for (const name of ['message.deleted', 'message.edited', 'message.deleted', 'message.edited'] as const)
      await scene.happens(name, { name })
    for (const events of [
      ['message.deleted', 'message.edited'],
      ['message.edited', 'message.deleted'],
    ])
      expect(texts(await read({ events, limit: 3 }))).toEqual([
        'message.deleted',
        'message.edited',
        'message.deleted',
      ])
  })

  test('finds its events in one step, however many others lie between', async () => {
    const rows = Array.from({ length: 2_000 }, (_none, index) => ({
      identityId: 'id_1',
      eventId: `$${index}`,
      name: index % 700 === 699 ? ('message.deleted' as const) : ('message.received' as const),
      roomId: '!r:s',
      deviceRowId: '',
      senderUserId: '',
      mediaId: null,
      payload: {} as StoredEvent,
      receivedAt: 1,
    }))
    scene.db.orm.insert(events).values(rows).run()
    const repository = createFeedRepository(scene.db)
    const wanted = new Set(['message.deleted', 'message.status'])
    const found = await repository.names('id_1', 0, wanted, 100)
    expect(found.events.map(({ seq }) => seq)).toEqual([700, 1400])
    expect(found).toMatchObject({ upTo: 2_000, more: false })
    expect(await repository.names('id_1', 0, wanted, 1)).toMatchObject({ upTo: 700, more: true })
    const plan = scene.db.connection
      .query<{ detail: string }, []>(
        `EXPLAIN QUERY PLAN SELECT seq FROM events
         WHERE identity_id = 'id_1' AND name = 'message.deleted' AND seq > 0 ORDER BY seq`,
      )
      .all()
    expect(plan.map(({ detail }) => detail).join()).toContain('events_kind')
  })

  test.each([[['nothing']], [[]], [['message.received', 'webhook.test']]])('%j is refused', async events => {
    const wrong = { code: 'bad_request', message: expect.stringContaining('events: ') }
    await expect(read({ events })).rejects.toMatchObject(wrong)
  })
})

test('test events are none of the feed', async () => {
  await scene.side.deliveries.test('id_1', 1)
  await scene.happens('1')
  expect(texts(await read())).toEqual(['1'])
})

describe('waiting', () => {
  test('ends with the next event, whoever stores it', async () => {
    const reader = await feed.open('id_1', { after: 'now' })
    const page = reader.next(10, 30_000)
    await scene.idle()
    await scene.happens('now')
    expect(texts(await page)).toEqual(['now'])
    reader.close()
  })

  test('ends when the time is over', async () => {
    const reader = await feed.open('id_1', {})
    const page = reader.next(10, 30_000)
    await scene.pass(29_000)
    let isOver = false
    void page.then(() => {
      isOver = true
    })
    await scene.idle()
    expect(isOver).toBeFalse()
    await scene.pass(1_000)
    expect((await page).events).toEqual([])
    reader.close()
  })

  test('takes no longer when the clock is set back meanwhile', async () => {
    const reader = await feed.open('id_1', {})
    const page = reader.next(10, 30_000)
    await scene.idle()
    scene.clock.set(-3_600_000)
    await scene.pass(30_000)
    expect(scene.clock.sleeping).toBe(0)
    expect((await page).events).toEqual([])
    reader.close()
  })

  test('is not ended by what the filter leaves out, nor by what happens to others', async () => {
    const reader = await feed.open('id_1', { events: ['message.deleted'] })
    const page = reader.next(10, 60_000)
    await scene.idle()
    await scene.happens('1')
    await scene.idle()
    await scene.happens('2', { name: 'message.deleted' })
    expect(texts(await page)).toEqual(['2'])
    reader.close()
  })

  test('ends when the reader is closed, and when the gateway stops', async () => {
    const [one, two] = [await feed.open('id_1', {}), await feed.open('id_1', {})]
    const pages = [one.next(10, 30_000), two.next(10, 30_000)]
    await scene.idle()
    one.close()
    feed.stop()
    for (const page of await Promise.all(pages)) expect(page.events).toEqual([])
  })
})

test('under load no reader misses an event or sees one out of order', async () => {
  const COUNT = 2_000
  const clock = systemClock
  const live = testFeed({ db: scene.db, clock })
  let stored = 0
  async function write(lane: number): Promise<void> {
    while (stored < COUNT) {
      const text = `${stored++}`
      // Some writes of a transaction fail: it is rolled back, and the others get new numbers.
      const failing = scene.db.write(() => Promise.reject(new Error('none of it'))).catch(() => undefined)
      await Promise.all([
        scene.happens(text, { roomId: `!${lane}:s` }),
        ...(stored % 7 === 0 ? [failing] : []),
      ])
    }
  }
  async function follow(limit: number): Promise<string[]> {
    const seen: string[] = []
    let after: string | undefined
    while (seen.length < COUNT) {
      const reader = await live.open('id_1', { after })
      const page = await reader.next(limit, 5_000)
      reader.close()
      seen.push(...page.events.map(({ id }) => id))
      after = page.next
    }
    return seen
  }
  const readers = [1, 7, 100, 100].map(follow)
  await Promise.all(Array.from({ length: 8 }, (_, lane) => write(lane)))
  const all: string[] = []
  for (let after: string | undefined; all.length < COUNT; ) {
    const page = await read({ after, limit: 500 })
    all.push(...page.events.map(({ id }) => id))
    after = page.next
  }
  expect(new Set(all).size).toBe(COUNT)
  for (const seen of await Promise.all(readers)) expect(seen).toEqual(all)
}, 60_000)

describe('what is no longer kept', () => {
  beforeEach(async () => {
    for (const text of ['1', '2', '3', '4']) await scene.happens(text)
  })
  const forget = (eventId: string) => scene.db.orm.delete(events).where(eq(events.eventId, eventId)).run()

  test('is told to who comes from before it, with the place where one can go on', async () => {
    const [first, second] = (await read()).events
    forget('$1')
    forget('$2')
    const gone = await read({ after: first?.id }).catch(error => error)
    expect(gone).toMatchObject({ code: 'gone', details: { oldest: second?.id } })
    expect(gone.message).toContain(second?.id)
    expect(texts(await read({ after: gone.details.oldest }))).toEqual(['3', '4'])
    expect(texts(await read({ after: second?.id }))).toEqual(['3', '4'])
    expect(texts(await read())).toEqual(['3', '4'])
  })

  test('is told to a reader that falls behind', async () => {
    const reader = await feed.open('id_1', {})
    expect(texts(await reader.next(1, 0))).toEqual(['1'])
    for (const id of ['$1', '$2', '$3']) forget(id)
    await expect(reader.next(1, 0)).rejects.toMatchObject({ code: 'gone' })
    reader.close()
  })

  test('when all is gone, the place stays good', async () => {
    const { next } = await read()
    for (const id of ['$1', '$2', '$3', '$4']) forget(id)
    expect(await read({ after: next })).toEqual({ events: [], next })
    expect(await read()).toEqual({ events: [], next })
  })
})

describe('a file that cannot be fetched now', () => {
  let isThere: boolean
  beforeEach(async () => {
    isThere = false
    const payloads = async (payload: StoredEvent) => {
      if (!isThere && 'message' in payload && payload.message === 'file')
        throw new GatewayError('homeserver_unavailable', 'not now')
      return payload
    }
    feed = testFeed({ ...scene, payloads })
    for (const text of ['1', 'file', '3']) await scene.happens(text)
  })

  test('doesn’t keep back what came before it, and nothing overtakes it', async () => {
    const page = await read()
    expect(texts(page)).toEqual(['1'])
    await expect(read({ after: page.next })).rejects.toMatchObject({ code: 'homeserver_unavailable' })
    isThere = true
    expect(texts(await read({ after: page.next }))).toEqual(['file', '3'])
  })
})

test.each([
  ['several are', 400, ['0', '1', '2']],
  ['one alone is', 3_000, ['0']],
])('a page ends when the files in it are large: %s', async (_, KiB, expected) => {
  const content = 'x'.repeat(KiB * 1024)
  feed = testFeed({
    ...scene,
    payloads: async payload => ({ ...payload, media: { content } }),
  })
  for (let index = 0; index < 5; index++) await scene.happens(`${index}`)
  expect(texts(await read())).toEqual(expected)
})

test('a page ends when the texts in it are long; what is left comes with the next', async () => {
  const long = 'x'.repeat(30_000)
  for (let index = 0; index < 50; index++) await scene.happens(`${index} ${long}`)
  const page = await read({ limit: 1_000 })
  expect(page.events.length).toBeLessThan(40)
  const rest = await read({ limit: 1_000, after: page.next })
  const numbers = [...texts(page), ...texts(rest)].map(text => Number(text.split(' ')[0]))
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => index))
})

test('so many readers of an identity at a time, and no more', async () => {
  const open = await Promise.all(Array.from({ length: 20 }, () => feed.open('id_1', {})))
  const refused = { code: 'too_many_requests', retryAfterS: 5 }
  await expect(feed.open('id_1', {})).rejects.toMatchObject(refused)
  const other = await feed.open('id_2', {})
  open[0]?.close()
  open[0]?.close()
  const again = await feed.open('id_1', {})
  await expect(feed.open('id_1', {})).rejects.toMatchObject(refused)
  for (const reader of [...open, again, other]) reader.close()
})

test('who has no reader yet finds room, however many the others have', async () => {
  const open: { close(): void }[] = []
  for (let identity = 0; identity < 75; identity++)
    for (let reader = 0; reader < 20; reader++) open.push(await feed.open(`other_${identity}`, {}))
  open.push(await feed.open('id_1', {}))
  await expect(feed.open('id_1', {})).rejects.toMatchObject({
    code: 'too_many_requests',
    message: 'there are too many readers of the feed in all for now',
  })
  for (const reader of open) reader.close()
})

test('polls write nothing, but for once an hour', async () => {
  let writes = 0
  const watched = scene.db.committer.watch(() => writes++)
  for (let poll = 0; poll < 5; poll++) await read()
  // The other is of the key of the feed's ids.
  expect(writes).toBe(2)
  await scene.clock.advance(3_600_000)
  for (let poll = 0; poll < 5; poll++) await read()
  expect(writes).toBe(3)
  watched()
})

test('reading goes on while nothing can be written', async () => {
  await scene.happens('1')
  const noteRead = () => Promise.reject(new GatewayError('storage_full', 'the disk is full'))
  feed = testFeed({ ...scene, noteRead })
  expect(texts(await read())).toEqual(['1'])
})

describe('statuses of messages are kept', () => {
  let count: number
  beforeEach(() => {
    count = 0
    insertDevice(scene.db)
  })
  async function fails(): Promise<void> {
    const statuses = createStatusWriter()
    const id = `msg_${++count}`
    scene.db.connection.run(
      `INSERT INTO messages (id, identity_id, device_row_id, lane, recipient, recipient_kind, text, status, attempts, resends, created_at, updated_at)
       VALUES (?, 'id_1', ?, 'l', '1', 'contact', 'x', 'sending', 0, 0, 0, 0)`,
      [id, 'dev_1'],
    )
    const { seq } = scene.db.connection.query('SELECT seq FROM messages WHERE id = ?').get(id) as {
      seq: number
    }
    const message = { seq, identityId: 'id_1', act: null } as Parameters<typeof statuses.failed>[1]
    await scene.db.write(tx => statuses.failed(tx, message, 'because', scene.clock.now()))
  }

  test('for who reads the feed, though no webhook asks', async () => {
    await fails()
    const { next } = await read({ after: 'now' })
    await fails()
    const page = await read({ after: next })
    expect(page.events.map(({ event }) => event)).toEqual(['message.status'])
    expect(payloads(page)).toMatchObject([{ id: 'msg_2', status: 'failed', reason: 'because' }])
    // Nobody has read it for long.
    await scene.clock.advance(31 * 24 * 3_600_000)
    await fails()
    const names = scene.db.orm.select({ name: events.name }).from(events).all()
    expect(names).toEqual([{ name: 'message.status' }])
    expect(
      scene.db.orm.select().from(identities).where(eq(identities.id, 'id_2')).get()?.feedReadAt,
    ).toBeNull()
  })

  test('for a webhook that is switched off, which gets them by a replay', async () => {
    scene.hook(2, { events: ['message.status'], active: false })
    await fails()
    expect(scene.rows()).toEqual([])
    await scene.side.webhooks.update('id_1', 2, { active: true })
    scene.start()
    expect(await scene.side.replays.start('id_1', 2, { since: '2026-01-01T00:00:00Z' })).toEqual({
      events: 1,
    })
    await scene.idle()
    expect(scene.side.tries).toMatchObject([
      { url: 'http://hook/2', payload: { event: 'message.status', id: 'msg_1', status: 'failed' } },
    ])
  })
})

test('who types isn’t kept, so only a stream can name it', async () => {
  await expect(read({ events: ['chat.typing'] })).rejects.toMatchObject({
    code: 'bad_request',
    message: "events: chat.typing isn't kept: read it with Accept: text/event-stream",
  })
  await expect(read({ events: ['chat.typed'], isLive: true })).rejects.toMatchObject({
    message: expect.stringContaining('chat.typing, or *'),
  })
})
