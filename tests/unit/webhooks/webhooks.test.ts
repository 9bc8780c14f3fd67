/** Webhooks: which URLs are taken, and which are the same. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSealer } from '../../../src/lib/sealing.ts'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createWebhookRepository } from '../../../src/modules/webhooks/webhook-repository.ts'
import { createWebhooks, type Webhooks } from '../../../src/modules/webhooks/webhooks.ts'
import { createEndpointGuard } from '../../../src/outbound/endpoint-guard.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let webhooks: Webhooks
beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertIdentity(db, 'id_2', '@mg2:s')
  webhooks = createWebhooks({
    chats: createChatRepository(db),
    bridges: { platforms: [] },
    repository: createWebhookRepository(db, { maxPerIdentity: 5, health: { reset() {} } }),
    sealer: createSealer('a key for tests only'),
    guard: createEndpointGuard({ allowPrivate: true, allowHttp: true, clock: new ManualClock() }),
    clock: new ManualClock(),
  })
})
afterEach(() => db.destroy())

const urls = async () => (await webhooks.list('id_1')).map(webhook => webhook.url)

test('a URL is kept as it was written, but for spaces around it', async () => {
  await webhooks.create('id_1', { url: 'https://your-server.com' })
  await webhooks.create('id_1', { url: '  http://Host.example:80/a ' })
  expect(await urls()).toEqual(['https://your-server.com', 'http://Host.example:80/a'])
  await webhooks.update('id_1', 1, { url: '\thttps://new.example/\n' })
  expect(await urls()).toEqual(['https://new.example/', 'http://Host.example:80/a'])
})

test.each([
  ' http://localhost/hook ',
  'http://LOCALHOST/hook',
  'HTTP://localhost:80/hook',
  'http://localhost/x/../hook',
  'http://localhost/hook#there',
])('%p is http://localhost/hook written in another way: a duplicate', async url => {
  await webhooks.create('id_1', { url: 'http://localhost/hook' })
  await webhooks.create('id_1', { url: 'http://localhost/other' })
  const conflict = { code: 'conflict', message: 'url: webhook 1 has this URL already' }
  await expect(webhooks.create('id_1', { url })).rejects.toMatchObject(conflict)
  await expect(webhooks.update('id_1', 2, { url })).rejects.toMatchObject(conflict)
  // Itself is no duplicate, and another identity's none of ours.
  expect((await webhooks.update('id_1', 1, { url })).url).toBe(url.trim())
  await webhooks.create('id_2', { url })
})

test.each([
  'http://localhost/Hook',
  'http://localhost/hook/',
  'https://localhost/hook',
  'http://localhost/hook?a',
])('%p is another than http://localhost/hook', async url => {
  await webhooks.create('id_1', { url: 'http://localhost/hook' })
  expect((await webhooks.create('id_1', { url })).id).toBe(2)
})

test('an identity may have so many and no more, whatever others have', async () => {
  for (const id of ['id_1', 'id_2']) {
    for (const path of ['a', 'b', 'c', 'd', 'e'])
      await webhooks.create(id, { url: `http://localhost/${path}` })
  }
  await expect(webhooks.create('id_1', { url: 'http://localhost/f' })).rejects.toMatchObject({
    code: 'conflict',
    message: 'there are 5 webhooks already, as many as there may be (WEBHOOKS_MAX): delete one first',
  })
  expect(await urls()).toHaveLength(5)
  await webhooks.update('id_1', 1, { url: 'http://localhost/g' })
  await webhooks.remove('id_1', 2)
  await webhooks.create('id_1', { url: 'http://localhost/f' })
})

test('a user and password in the address are refused, as it is stored and shown in clear', async () => {
  for (const url of ['https://user:password@example.com/', 'https://user@example.com/']) {
    await expect(webhooks.create('id_1', { url })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'url: expected no user and password; send them by headers.Authorization',
    })
  }
})

describe('the events it asks for', () => {
  const DEFAULT = ['message.received', 'message.reaction', 'message.edited', 'message.deleted']
  const asked = async () => (await webhooks.list('id_1')).map(webhook => webhook.events)

  test('are those of messages received, unless it names others', async () => {
    expect((await webhooks.create('id_1', { url: 'http://a' })).events as string[]).toEqual(DEFAULT)
    await webhooks.create('id_1', {
      url: 'http://b',
      events: ['device.logged_out', 'message.status', 'device.logged_out'],
    })
    await webhooks.create('id_1', { url: 'http://c', events: '*' })
    await webhooks.create('id_1', { url: 'http://d', events: ['message.received', '*'] })
    await webhooks.create('id_1', { url: 'http://e', events: 'message.status' })
    expect((await asked()) as string[][]).toEqual([
      DEFAULT,
      ['device.logged_out', 'message.status'],
      ['*'],
      ['*'],
      ['message.status'],
    ])
  })

  test('change when they are given, and null is the default again', async () => {
    await webhooks.create('id_1', { url: 'http://a', events: ['message.status'] })
    await webhooks.update('id_1', 1, { active: false })
    expect(await asked()).toEqual([['message.status']])
    await webhooks.update('id_1', 1, { events: ['device.connected'] })
    expect(await asked()).toEqual([['device.connected']])
    expect((await webhooks.update('id_1', 1, { events: null })).events as string[]).toEqual(DEFAULT)
  })

  test.each<[string[] | string, string]>([
    [
      ['message.recieved'],
      'events: "message.recieved" is unknown: expected "*" or a list of message.received, ',
    ],
    ['all', 'events: "all" is unknown: expected "*" or a list of'],
    [[], 'events: expected "*" or a list of'],
    [['*', 'nothing'], 'events: "nothing" is unknown'],
  ])('%j is refused, and nothing is changed', async (events, message) => {
    const refused = { code: 'bad_request', message: expect.stringContaining(message) }
    await expect(webhooks.create('id_1', { url: 'http://a', events })).rejects.toMatchObject(refused)
    expect(await asked()).toEqual([])
    await webhooks.create('id_1', { url: 'http://a' })
    await expect(webhooks.update('id_1', 1, { url: 'http://b', events })).rejects.toMatchObject(refused)
    expect(await urls()).toEqual(['http://a'])
  })
})

test('what is made is told with its secret inside the transaction, so that an answer can be kept with it', async () => {
  const recorded: unknown[] = []
  const record = async (_tx: unknown, webhook: unknown) => {
    expect(db.connection.inTransaction).toBe(true)
    recorded.push(webhook)
  }
  const made = await webhooks.create('id_1', { url: 'http://localhost/hook' }, record)
  const rotated = await webhooks.rotateSecret('id_1', made.id, undefined, record)
  expect(recorded).toEqual([made, rotated])
  expect(rotated.secret).not.toBe(made.secret)
})
