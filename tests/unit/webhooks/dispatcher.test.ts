/** The dispatcher on a real database: order per chat, retries over days, and endpoints that don't hold up each other. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  credentials,
  deliveries,
  deliveryLanes,
  inboxEvents,
  tokens,
  webhooks,
} from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createSealer } from '../../../src/lib/sealing.ts'
import { createDispatcher, type Dispatcher } from '../../../src/modules/webhooks/dispatcher.ts'
import { createWebhookRepository } from '../../../src/modules/webhooks/repository.ts'
import { signingSecretContext } from '../../../src/modules/webhooks/webhooks.ts'
import type { WebhookAnswer, WebhookRequest } from '../../../src/webhooks/client.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertIdentity, insertToken, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const sealer = createSealer('a key for tests only')
const OK: WebhookAnswer = { outcome: 'delivered', status: 200, latencyMs: 7, response: 'ok' }
const refused = (status: number | null, retryAfterS: number | null = null): WebhookAnswer => ({
  outcome: 'refused',
  status,
  error: `HTTP ${status}`,
  retryAfterS,
  latencyMs: 7,
  response: 'no',
})

let db: TempDb
let clock: ManualClock
let tries: { url: string; text: string; id: string; at: number }[]
let answer: (request: WebhookRequest, text: string) => WebhookAnswer | Promise<WebhookAnswer>
let dispatcher: Dispatcher
let stop: () => Promise<void>

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertToken(db)
  tries = []
  answer = () => OK
  hook(1)
})
afterEach(async () => {
  await stop?.()
  db.destroy()
})

function hook(id: number, active = true) {
  const secretSealed = sealer.seal('whsec_c2VjcmV0', signingSecretContext('id_1'))
  insertWebhook(db, { id, url: `http://hook/${id}`, active, secretSealed })
}

let count = 0
/** An event to be delivered to a webhook, as the inbox leaves it. */
function event(text: string, { webhookId = 1, roomId = '!r:s' } = {}) {
  const { seq } = db.orm
    .insert(inboxEvents)
    .values({
      identityId: 'id_1',
      eventId: `$${++count}`,
      name: 'message.received',
      roomId,
      deviceRowId: 'dev_1',
      senderUserId: '@a:s',
      mediaId: null,
      payload: { message: text } as never,
      receivedAt: clock.now(),
    })
    .returning()
    .get()
  const endpoint = `id_1/${webhookId}`
  const lane = `${endpoint}/${roomId}`
  const delivery = {
    id: `evt_${count}`,
    identityId: 'id_1',
    webhookId,
    inboxSeq: seq,
    lane,
    status: 'pending' as const,
  }
  db.orm
    .insert(deliveries)
    .values({ ...delivery, attempts: 0, createdAt: clock.now() })
    .run()
  db.orm.insert(deliveryLanes).values({ lane, endpoint, dueAt: clock.now() }).onConflictDoNothing().run()
}

function start(concurrencyPerEndpoint = 4, change: Partial<Parameters<typeof createDispatcher>[0]> = {}) {
  dispatcher = createDispatcher({
    repository: createWebhookRepository(db),
    payloads: { of: async ({ payload }) => ({ ...payload, is_contact: false, media: null }) },
    client: {
      async deliver(request) {
        const text = (JSON.parse(request.body) as { message: string }).message
        tries.push({ url: request.url, text, id: request.id, at: clock.now() })
        return answer(request, text)
      },
    },
    sealer,
    concurrencyPerEndpoint,
    clock,
    logger: silentLogger,
    ...change,
  })
  const controller = new AbortController()
  const running = dispatcher.worker.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
}

async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}
async function pass(ms: number, steps = 20) {
  for (let step = 0; step < steps; step++) {
    await clock.advance(ms / steps)
    await idle()
  }
}
const texts = () => tries.map(attempt => attempt.text)
const statuses = () =>
  db.orm
    .select()
    .from(deliveries)
    .all()
    .map(row => row.status)

test('events of a chat arrive in order, and nothing is left waiting', async () => {
  for (const text of ['1', '2', '3']) event(text)
  start()
  await idle()
  expect(texts()).toEqual(['1', '2', '3'])
  expect(statuses()).toEqual(['succeeded', 'succeeded', 'succeeded'])
  expect(db.orm.select().from(deliveryLanes).all()).toEqual([])
})

test('a nudge delivers what came just now', async () => {
  start()
  await idle()
  event('1')
  dispatcher.nudge()
  await idle()
  expect(texts()).toEqual(['1'])
})

describe('while nothing can be stored', () => {
  test('what was delivered and not settled is delivered again soon, with the same id', async () => {
    const repository = createWebhookRepository(db)
    let isFull = true
    const full = () => Promise.reject(new GatewayError('storage_full', 'no space'))
    event('1')
    start(4, {
      repository: {
        ...repository,
        settle: (...args) => (isFull ? full() : repository.settle(...args)),
        release: (...args) => (isFull ? full() : repository.release(...args)),
      },
    })
    await pass(10_000)
    expect(texts()).toEqual(['1'])
    isFull = false
    await pass(4_000)
    expect(statuses()).toEqual(['succeeded'])
    expect(new Set(tries.map(({ id }) => id)).size).toBe(1)
  })

  test('a file that has no room costs the endpoint none of its tries', async () => {
    let isFull = true
    event('1')
    start(4, {
      payloads: {
        of: async ({ payload }) => {
          if (isFull) throw new GatewayError('storage_full', 'no space')
          return { ...payload, is_contact: false, media: null }
        },
      },
    })
    await pass(60_000, 60)
    expect(db.orm.select().from(deliveries).get()).toMatchObject({ attempts: 0, status: 'pending' })
    isFull = false
    await pass(3_000)
    expect(statuses()).toEqual(['succeeded'])
  })
})

describe('a failing try', () => {
  test('is repeated after seconds with the same id, in its place', async () => {
    event('1')
    event('2')
    answer = () => (tries.length === 1 ? refused(500) : OK)
    start()
    await idle()
    expect(texts()).toEqual(['1'])
    await pass(7_000)
    expect(texts()).toEqual(['1', '1', '2'])
    expect(tries[0]?.id).toBe(tries[1]?.id as string)
  })

  test('that goes on failing is retried by itself over days and does not hold up its chat; then it is dead', async () => {
    event('bad')
    event('good')
    answer = (_, text) => (text === 'bad' ? refused(500) : OK)
    start()
    await pass(7_000)
    expect(texts()).toEqual(['bad', 'bad', 'good'])
    await pass(6 * 24 * 3_600_000, 400)
    const bad = tries.filter(attempt => attempt.text === 'bad')
    expect(bad).toHaveLength(10)
    expect((bad.at(-1)?.at ?? 0) - (bad[0]?.at ?? 0)).toBeGreaterThan(2 * 24 * 3_600_000)
    expect(new Set(bad.map(attempt => attempt.id)).size).toBe(1)
    expect(statuses()).toEqual(['dead', 'succeeded'])
    expect(db.orm.select().from(deliveryLanes).all()).toEqual([])
  })

  test('waits as long as the endpoint asks', async () => {
    event('1')
    answer = () => (tries.length === 1 ? refused(429, 60) : OK)
    start()
    await pass(55_000)
    expect(tries).toHaveLength(1)
    await pass(20_000)
    expect(tries).toHaveLength(2)
  })

  test('with 410 switches the webhook off; what waits goes when it is on again', async () => {
    event('1')
    event('2')
    answer = () => (tries.length === 1 ? refused(410) : OK)
    start()
    await pass(60_000)
    expect(texts()).toEqual(['1'])
    expect(db.orm.select().from(webhooks).all()[0]).toMatchObject({
      active: false,
      disabledReason: expect.stringContaining('410'),
    })
    db.orm.update(webhooks).set({ active: true }).run()
    dispatcher.nudge()
    await pass(60_000)
    expect(texts()).toEqual(['1', '1', '2'])
  })
})

test('a switched-off webhook gets nothing', async () => {
  hook(2, false)
  event('1', { webhookId: 2 })
  start()
  await pass(60_000)
  expect(tries).toEqual([])
  expect(statuses()).toEqual(['pending'])
})

test.each([
  ['has expired', () => db.orm.update(tokens).set({ expiresAt: clock.now() }).run()],
  ['is gone', () => db.orm.delete(tokens).run()],
  [
    'belongs to a credential that is inactive',
    () => {
      const times = { createdAt: 1, updatedAt: 1 }
      const row = {
        clientId: 'app',
        secretHash: 'x',
        role: 'user' as const,
        scopes: [],
        description: '',
        active: false,
      }
      db.orm
        .insert(credentials)
        .values({ ...row, ...times })
        .run()
      db.orm.update(tokens).set({ credentialId: 'app' }).run()
    },
  ],
])('an identity whose only token %s gets nothing until it has a usable one', async (_, shutOut) => {
  shutOut()
  event('1')
  start()
  await pass(60_000)
  expect(tries).toEqual([])
  insertToken(db)
  await pass(10_000)
  expect(texts()).toEqual(['1'])
})

test('a hanging endpoint has a bounded number of tries under way, and delays no other', async () => {
  hook(2)
  const gate = Promise.withResolvers<WebhookAnswer>()
  for (let room = 0; room < 10; room++) event('slow', { roomId: `!${room}:s` })
  answer = request => (request.url.endsWith('/1') ? gate.promise : OK)
  start(4)
  await idle()
  for (let room = 0; room < 10; room++) event('fast', { webhookId: 2, roomId: `!${room}:s` })
  dispatcher.nudge()
  await pass(100)
  expect(texts().filter(text => text === 'slow')).toHaveLength(4)
  expect(texts().filter(text => text === 'fast')).toHaveLength(10)
  gate.resolve(OK)
  await pass(100)
  expect(texts().filter(text => text === 'slow')).toHaveLength(10)
})

test('what was under way when the process died is delivered again with the same id', async () => {
  event('1')
  const gate = Promise.withResolvers<WebhookAnswer>()
  answer = () => gate.promise
  start()
  await idle()
  const abandoned = stop
  answer = () => OK
  start()
  await idle()
  expect(tries.map(attempt => attempt.id)).toEqual([tries[0]?.id, tries[0]?.id] as never)
  gate.resolve(OK)
  await abandoned()
})
