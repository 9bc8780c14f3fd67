/** GET /api/v1/events over HTTP: pages, streams, and what is refused. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { events } from '../../src/db/schema/index.ts'
import type { StoredEvent } from '../../src/domain/events.ts'
import { writeEvent } from '../../src/modules/events/event-repository.ts'
import { expectError } from '../support/expect-error.ts'
import { type Answer, basic, testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
let identityId: string
beforeAll(async () => {
  app = await testHttp()
  const token = await app.newToken()
  auth = `Bearer ${token}`
  identityId = (await app.tokens.authenticate(token)).identity.id
})
afterAll(() => app.destroy())
beforeEach(() => {
  app.db.orm.delete(events).run()
  app.db.connection.run('UPDATE identities SET feed_gone_seq = 0')
})

const EVENTS = '/api/v1/events'
/** The rest of an event. */
const SAID = {
  id: '$1',
  is_contact: false,
  type: 'm.text',
  from: '@a:s',
  to: '@mg1:s',
  device_id: '237123456789',
  media: null,
  kind: 'text',
  timestamp: '2026-04-27T10:00:00Z',
  platform: 'wa',
  sender: { id: '@a:s', phone: null, name: '' },
  chat: { id: '!r:s', kind: 'dm', name: '' },
  reply_to: null,
  relates_to: null,
  location: null,
}
let count = 0
async function happens(message: string, event = 'message.received', of = identityId): Promise<void> {
  const where = { identityId: of, roomId: '!r:s', deviceRowId: 'dev_1', senderUserId: '@a:s', mediaId: null }
  const payload = { ...SAID, event, message } as StoredEvent
  const stored = { ...where, eventId: `$${++count}`, lane: '!r:s', payload }
  await app.db.write(tx => writeEvent(tx, stored, app.clock.now()))
}
const messagesOf = (answer: Answer) =>
  (answer.body.events as { payload: { message: string } }[]).map(({ payload }) => payload.message)

test('a page, and the next from there', async () => {
  for (const text of ['1', '2', '3']) await happens(text)
  const first = await app.call('GET', `${EVENTS}?limit=2`, { auth })
  expect(first.status).toBe(200)
  expect(messagesOf(first)).toEqual(['1', '2'])
  const second = await app.call('GET', `${EVENTS}?after=${first.body.next}`, { auth })
  expect(messagesOf(second)).toEqual(['3'])
  const others = await app.call('GET', EVENTS, { auth: `Bearer ${await app.newToken()}` })
  expect(messagesOf(others)).toEqual([])
})

test('of the events that are named', async () => {
  await happens('1')
  await happens('2', 'message.deleted')
  expect(messagesOf(await app.call('GET', `${EVENTS}?events=message.deleted`, { auth }))).toEqual(['2'])
  const both = `${EVENTS}?events=message.deleted,%20message.received`
  expect(messagesOf(await app.call('GET', both, { auth }))).toEqual(['1', '2'])
})

test('waits for the next event', async () => {
  const answer = app.call('GET', `${EVENTS}?after=now&wait=30`, { auth })
  await new Promise(resolve => setTimeout(resolve, 0))
  await happens('now')
  expect(messagesOf(await answer)).toEqual(['now'])
})

test('whose token is deleted while it waits gets nothing of what happens then', async () => {
  const token = await app.newToken()
  const { identity } = await app.tokens.authenticate(token)
  const { list } = (await app.call('GET', '/api/v1/tokens', { auth: basic() })).body
  const { id } = (list as { id: number; matrix_username: string }[]).find(
    ({ matrix_username }) => matrix_username === identity.matrixUserId,
  ) ?? { id: 0 }
  const answer = app.call('GET', `${EVENTS}?after=now&wait=30`, { auth: `Bearer ${token}` })
  await new Promise(resolve => setTimeout(resolve, 0))
  expect((await app.call('DELETE', `/api/v1/tokens/${id}`, { auth: basic() })).status).toBeLessThan(300)
  await happens('secret', 'message.received', identity.id)
  const { status, text } = await answer
  expect([status, text.includes('secret')]).toEqual([403, false])
})

describe('a large page', () => {
  const LONG = 'x'.repeat(30_000)
  const open = (path = EVENTS) =>
    app.http.handle(new Request(`http://localhost:8080${path}`, { headers: { authorization: auth } }))
  beforeEach(async () => {
    for (let index = 0; index < 10; index++) await happens(`${index} ${LONG}`)
  })

  test('is JSON like any other', async () => {
    const answer = await app.call('GET', EVENTS, { auth })
    expect(answer.headers.get('content-type')).toBe('application/json;charset=utf-8')
    expect(messagesOf(answer).map(text => text.slice(0, 2))).toEqual(
      Array.from({ length: 10 }, (_, index) => `${index} `),
    )
    expect((await app.call('GET', `${EVENTS}?after=${answer.body.next}`, { auth })).body.events).toEqual([])
  })

  test('takes up a reader until it is read, or its client has gone', async () => {
    const unread = await Promise.all(Array.from({ length: 20 }, () => open()))
    expect(unread.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expectError(await app.call('GET', EVENTS, { auth }), 429, 'too_many_requests', 'at most 20 readers')
    await unread.pop()?.text()
    expect((await open(`${EVENTS}?limit=1`)).status).toBe(200)
    await unread.pop()?.body?.cancel()
    for (const response of [...unread, await open()]) await response.body?.cancel()
    expect((await app.call('GET', EVENTS, { auth })).status).toBe(200)
  })

  test('of HEAD takes up none', async () => {
    for (let index = 0; index < 25; index++)
      expect((await app.call('HEAD', EVENTS, { auth })).status).toBe(200)
  })
})

describe('a stream', () => {
  async function open(
    headers: Record<string, string> = {},
    path = EVENTS,
    method = 'GET',
  ): Promise<Response> {
    const request = new Request(`http://localhost:8080${path}`, {
      method,
      headers: { authorization: auth, accept: 'text/event-stream', ...headers },
    })
    return app.http.handle(request)
  }
  async function firstEvent(response: Response): Promise<string> {
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk)
      if (text.includes('data: ')) break
    }
    return text
  }

  test('of server-sent events, from Last-Event-ID on, which wins over `after`', async () => {
    for (const text of ['1', '2']) await happens(text)
    const page = await app.call('GET', `${EVENTS}?limit=1`, { auth })
    const response = await open({ 'last-event-id': String(page.body.next) }, `${EVENTS}?after=now`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    const text = await firstEvent(response)
    expect(text).toMatch(/^retry: 3000\n\nid: [\w-]{22}\nevent: message.received\ndata: \{.*"message":"2"/)
  })

  test('goes by `after` when Last-Event-ID is empty: its client has no event yet', async () => {
    for (const text of ['1', '2']) await happens(text)
    const { next } = (await app.call('GET', `${EVENTS}?limit=1`, { auth })).body
    expect(await firstEvent(await open({ 'last-event-id': '' }))).toContain('"message":"1"')
    const after = await open({ 'last-event-id': '' }, `${EVENTS}?after=${next}`)
    expect(await firstEvent(after)).toContain('"message":"2"')
  })

  test('is refused by a status, like a page', async () => {
    expect((await open({ 'last-event-id': 'x' })).status).toBe(400)
    expect((await open({ authorization: 'Bearer x' })).status).toBe(403)
  })

  test('HEAD opens none', async () => {
    for (let index = 0; index < 25; index++) expect((await open({}, EVENTS, 'HEAD')).status).toBe(200)
  })
})

test.each([
  ['after=x', 'after: expected the id of an event of this feed, or now'],
  ['after=', 'after: expected'],
  ['limit=0', 'limit: expected a whole number from 1 to 1000'],
  ['limit=1001', 'limit: expected'],
  ['wait=31', 'wait: expected a whole number from 0 to 30'],
  ['wait=x', 'wait: expected'],
  ['events=nothing', 'events: "nothing" is unknown: expected names of message.received'],
  ['events=', 'events: '],
  ['events=webhook.test', 'events: "webhook.test" is unknown'],
])('400 for ?%s', async (query, says) => {
  expectError(await app.call('GET', `${EVENTS}?${query}`, { auth }), 400, 'bad_request', says)
})

test('410 for a place before what is kept, with the oldest there is', async () => {
  for (const text of ['1', '2', '3']) await happens(text)
  const { next } = (await app.call('GET', `${EVENTS}?limit=1`, { auth })).body
  app.db.connection.run("DELETE FROM events WHERE json_extract(payload, '$.message') = '2'")
  const gone = await app.call('GET', `${EVENTS}?after=${next}`, { auth })
  expect([gone.status, gone.body]).toEqual([
    410,
    expect.objectContaining({ code: 'gone', error: expect.stringContaining('no longer kept') }),
  ])
  const rest = await app.call('GET', `${EVENTS}?after=${gone.body.oldest}`, { auth })
  expect(messagesOf(rest)).toEqual(['3'])
})

test('401 without a token, 429 with too many readers', async () => {
  expectError(await app.call('GET', EVENTS), 401, 'unauthorized')
  const readers = await Promise.all(Array.from({ length: 20 }, () => app.feed.open(identityId, {})))
  const refused = await app.call('GET', EVENTS, { auth })
  expectError(refused, 429, 'too_many_requests', 'at most 20 readers')
  expect(refused.headers.get('retry-after')).toBe('5')
  for (const reader of readers) reader.close()
})
