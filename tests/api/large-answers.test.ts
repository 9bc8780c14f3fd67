/** Lists that clients ask for and don't read take bounded memory, for each identity. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { expectShortTurns } from '../support/longest-turn.ts'
import { testHttp } from '../support/test-http.ts'

const LISTS = [
  '/api/v1/messages',
  '/api/v1/devices/237123456789/contacts',
  '/api/v1/devices/237123456789/groups',
  '/api/v1/webhooks/1/deliveries',
]
/** As JSON. Four of them are the share of an identity, 16 MiB. */
const LARGE = [{ reason: 'ü'.repeat(2 * 1024 * 1024 - 100) }]

let app: Awaited<ReturnType<typeof testHttp>>
beforeEach(async () => {
  app = await testHttp()
  const { messages, directory } = app.services
  messages.list = async () => LARGE as never
  directory.contacts = async () => ({ data: LARGE, next: null }) as never
  directory.groups = async () => LARGE as never
  app.webhookSide.deliveries.list = async () => LARGE as never
})
afterEach(() => app.destroy())

test('a long list lets others in between its entries', async () => {
  const auth = `Bearer ${await app.newToken()}`
  const contacts = Array.from({ length: 200_000 }, (_, index) => ({ id: String(index), name: 'Jonas' }))
  app.services.directory.contacts = async () => ({ data: contacts, next: null }) as never
  const request = () => new Request(`http://localhost:8080${LISTS[1]}`, { headers: { authorization: auth } })
  await expectShortTurns(async () => (await app.http.handle(request())).arrayBuffer())
})

test.each(LISTS)('large answers of %s count until they are read', async list => {
  const auth = `Bearer ${await app.newToken()}`
  const ask = (method = 'GET') =>
    app.http.handle(new Request(`http://localhost:8080${list}`, { method, headers: { authorization: auth } }))
  const unread = await Promise.all([ask(), ask(), ask(), ask()])
  expect(unread.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  const refused = await app.call('GET', list, { auth })
  expectError(refused, 429, 'too_many_requests', 'Too many large answers of this identity')
  expect(refused.headers.get('retry-after')).toBe('1')

  const other = await app.call('GET', list, {
    auth: `Bearer ${await app.newToken()}`,
    undocumented: true,
  })
  expect([other.status, other.body.list]).toEqual([200, LARGE])
  expect(other.headers.get('content-type')).toBe('application/json;charset=utf-8')

  for (let index = 0; index < 5; index++) expect((await ask('HEAD')).status).toBe(200)
  expect(await unread.pop()?.json()).toEqual(LARGE)
  unread.push(await ask())
  expect(unread.at(-1)?.status).toBe(200)
  for (const response of unread) await response.body?.cancel()
  expect((await app.call('GET', list, { auth, undocumented: true })).status).toBe(200)
})

test('one answer that is larger than the share is given all the same', async () => {
  const auth = `Bearer ${await app.newToken()}`
  app.services.messages.list = async () => Array(5).fill(LARGE[0]) as never
  for (let index = 0; index < 2; index++)
    expect((await app.call('GET', '/api/v1/messages', { auth, undocumented: true })).status).toBe(200)
})
