/** On a large database no request blocks others. Figure 8 of `make bench` measures the cost. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { basic, bearer } from '../support/json-client.ts'
import { enlarge } from '../support/large-database.ts'
import { expectShortTurns } from '../support/longest-turn.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const SIZES = { messages: 20_000, identities: 3_000, chats: 5_000, contacts: 5_000 }

let folder: TempDir
let gateway: TestGateway
let token: string
let device: string

beforeAll(async () => {
  folder = tempDir()
  await converse()
  using database = new Database(join(folder.path, 'data', 'meshgate.db'))
  enlarge(database, SIZES)
  database.close()
  gateway = await testGateway({}, folder.path)
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** Makes one linked phone with one chat, and a message each way. */
async function converse(): Promise<void> {
  await using small = await testGateway({}, folder.path)
  const { account, device: number, phone } = await small.client.linkedAccount()
  const friend = await small.client.newPhone()
  token = account.token
  device = number
  const { id } = await account.addWebhook('http://127.0.0.1:9/')
  await account.api.put(`/api/v1/webhooks/${id}`, { active: false })
  await account.addWebhook('http://127.0.0.1:9/2')
  const [message] = await account.send(device, { contact: friend.number, text: 'hello' })
  await account.waitForStatus(message?.id ?? '', ['delivered'])
  await friend.send({ to: device, text: 'hi' })
  await phone.waitForText('hi')
  await waitFor(
    async () =>
      (await account.api.get<{ events: unknown[] }>('/api/v1/events?events=message.received')).body.events[0],
    { what: 'an event' },
  )
}

/** Reads an answer without parsing it: the test's own work would count, too. */
async function get(path: string, authorization = bearer(token)): Promise<number> {
  const response = await fetch(gateway.url + path, { headers: { authorization } })
  expect(response.status).toBe(200)
  return (await response.arrayBuffer()).byteLength
}

const operator = () => basic(gateway.client.address.clientId, gateway.client.address.clientSecret)

test.each([
  '/api/v1/messages?limit=1000',
  '/api/v1/events?limit=1000',
  '/api/v1/events?limit=1000&events=device.connected,webhook.disabled',
  '/api/v1/events?limit=1000&events=message.received,message.status',
  '/api/v1/webhooks/1/deliveries?limit=1000',
  '/api/v1/webhooks/1/deliveries?event=device.connected',
  '/api/v1/webhooks/1/deliveries?status=succeeded',
  '/api/v1/devices',
  '/api/v1/platforms',
])('GET %s lets others in between', async path => {
  await expectShortTurns(() => get(path))
})

test.each(['contacts?limit=1000', 'contacts?query=Contact%2049', 'groups'])(
  "a device's %s let others in between",
  async list => {
    await expectShortTurns(() => get(`/api/v1/devices/${device}/${list}`))
  },
)

test('all tokens of a credential let others in between', async () => {
  expect(await get('/api/v1/tokens', operator())).toBeGreaterThan(SIZES.identities * 100)
  await expectShortTurns(() => get('/api/v1/tokens', operator()))
})

test('/metrics of a thousand devices lets others in between', async () => {
  await expectShortTurns(async () => {
    // Lets the cached reading expire.
    gateway.clock.skip(16_000)
    await get('/metrics', operator())
  })
})

test('a message of a stranger, for whom the address book is fetched, lets others in between', async () => {
  const strangers = await Promise.all([0, 1, 2].map(() => gateway.client.newPhone()))
  const { api } = gateway.client.accountOf(token)
  const feed = '/api/v1/events?events=message.received'
  await expectShortTurns(async round => {
    // Lets the fetched address book expire.
    gateway.clock.skip(16_000)
    const { next } = (await api.get<{ next: string }>(`${feed}&after=now`)).body
    await strangers[round]?.send({ to: device, text: `hello ${round}` })
    const { events } = (await api.get<{ events: unknown[] }>(`${feed}&after=${next}&wait=20`)).body
    expect(events).toMatchObject([{ payload: { message: `hello ${round}`, is_contact: false } }])
  })
})

/** Runs last, as it ends the other tests' gateway. */
test('a start with it lets requests in between from the first one on', async () => {
  await gateway[Symbol.asyncDispose]()
  await expectShortTurns(
    async () => {
      await using started = await testGateway({}, folder.path)
      await waitFor(async () => (await fetch(`${started.url}/ready`)).ok, { what: 'ready' })
      const { api } = started.client.accountOf(token)
      await waitFor(
        async () => {
          const { body } = await api.get<{ state: string }[]>('/api/v1/devices')
          return body[0]?.state === 'connected'
        },
        { what: 'a connected device' },
      )
      // The turn also makes all routes and statements, before anybody can ask.
    },
    { mostMs: 100 },
  )
  gateway = await testGateway({}, folder.path)
})
