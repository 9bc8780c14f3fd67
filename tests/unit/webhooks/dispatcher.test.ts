/** The dispatcher on a real database: order per chat, retries over days, fair shares. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  credentials,
  deliveries,
  deliveryAttempts,
  deliveryLanes,
  tokens,
  webhooks,
} from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { WebhookAnswer } from '../../../src/outbound/webhook-client.ts'
import { insertIdentity, insertToken } from '../../support/rows.ts'
import { asStored, OK, type PayloadMaker, refused } from '../../support/test-webhooks.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

test('events of a chat arrive in order, and nothing is left waiting', async () => {
  for (const text of ['1', '2', '3']) scene.event(text)
  scene.start()
  await scene.idle()
  expect(scene.texts()).toEqual(['1', '2', '3'])
  expect(scene.statuses()).toEqual(['succeeded', 'succeeded', 'succeeded'])
  expect(scene.db.orm.select().from(deliveryLanes).all()).toEqual([])
})

test('a signal delivers what came just now', async () => {
  scene.start()
  await scene.idle()
  scene.event('1')
  scene.db.signals.emit('deliveries')
  await scene.idle()
  expect(scene.texts()).toEqual(['1'])
})

describe('while nothing can be stored', () => {
  test('what was delivered and not settled is delivered again soon, with the same id', async () => {
    let isFull = true
    const full = () => Promise.reject(new GatewayError('storage_full', 'no space'))
    scene.event('1')
    scene.start({
      queue: queue => ({
        ...queue,
        settle: (...args) => (isFull ? full() : queue.settle(...args)),
        release: (...args) => (isFull ? full() : queue.release(...args)),
      }),
    })
    await scene.pass(10_000)
    expect(scene.texts()).toEqual(['1'])
    isFull = false
    await scene.pass(4_000)
    expect(scene.statuses()).toEqual(['succeeded'])
    expect(new Set(scene.side.tries.map(({ id }) => id)).size).toBe(1)
  })

  test('a file that has no room costs the endpoint none of its tries', async () => {
    let isFull = true
    scene.event('1')
    scene.start({
      payloads: async payload => {
        if (isFull) throw new GatewayError('storage_full', 'no space')
        return asStored(payload)
      },
    })
    await scene.pass(60_000, 60)
    expect(scene.db.orm.select().from(deliveries).get()).toMatchObject({ attempts: 0, status: 'pending' })
    isFull = false
    await scene.pass(3_000)
    expect(scene.statuses()).toEqual(['succeeded'])
  })
})

describe('a failing try', () => {
  test('is repeated within moments with the same id, in its place', async () => {
    scene.event('1')
    scene.event('2')
    scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? refused(500) : OK)
    scene.start()
    await scene.idle()
    expect(scene.texts()).toEqual(['1'])
    await scene.pass(100)
    expect(scene.texts()).toEqual(['1', '1', '2'])
    expect(scene.side.tries[0]?.id).toBe(scene.side.tries[1]?.id as string)
  })

  test('that goes on failing is retried by itself over days and does not hold up its chat; then it is dead', async () => {
    scene.event('bad')
    scene.event('good')
    scene.side.endpoint.answer = ({ payload }) => (payload.message === 'bad' ? refused(500) : OK)
    scene.start()
    await scene.pass(10_000)
    // After its tries in place the one behind it shows that the endpoint is well.
    expect(scene.texts()).toEqual([...Array(5).fill('bad'), 'good', 'bad'])
    const waits = scene.side.tries.map(({ at }, index, all) => at - (all[index - 1]?.at ?? at)).slice(1, 5)
    const planned = [50, 300, 1_000, 5_000]
    for (const [index, ms] of planned.entries())
      expect(Math.abs((waits[index] ?? 0) - ms)).toBeLessThanOrEqual(0.2 * ms + 5)
    await scene.pass(6 * 24 * 3_600_000, 400)
    const bad = scene.side.tries.filter(attempt => attempt.payload.message === 'bad')
    expect(bad).toHaveLength(14)
    expect((bad.at(-1)?.at ?? 0) - (bad[0]?.at ?? 0)).toBeGreaterThan(2 * 24 * 3_600_000)
    expect(new Set(bad.map(attempt => attempt.id)).size).toBe(1)
    expect(scene.statuses()).toEqual(['dead', 'succeeded'])
    expect(scene.db.orm.select().from(deliveryLanes).all()).toEqual([])
  })

  test('waits as long as the endpoint asks', async () => {
    scene.event('1')
    scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? refused(429, 60) : OK)
    scene.start()
    await scene.pass(55_000)
    expect(scene.side.tries).toHaveLength(1)
    await scene.pass(20_000)
    expect(scene.side.tries).toHaveLength(2)
  })

  test('with 410 switches the webhook off; what waits goes when it is on again', async () => {
    scene.event('1')
    scene.event('2')
    scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? refused(410) : OK)
    scene.start()
    await scene.pass(60_000)
    expect(scene.texts()).toEqual(['1'])
    expect(scene.db.orm.select().from(webhooks).all()[0]).toMatchObject({
      active: false,
      disabledReason: expect.stringContaining('410'),
    })
    scene.db.orm.update(webhooks).set({ active: true }).run()
    scene.db.signals.emit('deliveries')
    await scene.pass(60_000)
    expect(scene.texts()).toEqual(['1', '1', '2'])
  })
})

describe('while an endpoint takes nothing', () => {
  const DAY = 24 * 3_600_000
  const down = () => {
    scene.side.endpoint.answer = () => refused(503)
  }
  const up = () => {
    scene.side.endpoint.answer = () => OK
  }
  /** Messages of each of three chats, in turns. */
  const write = async (from: number, to: number) => {
    for (let index = from; index <= to; index++)
      for (const chat of ['a', 'b', 'c']) await scene.happens(`${chat}${index}`, { roomId: `!${chat}:s` })
  }
  const delivered = (since: number) => scene.texts().slice(since) as string[]
  const ofChat = (texts: string[], chat: string) => texts.filter(text => text.startsWith(chat))

  test('its chats wait in order, and one delivery at a time finds out when it is back', async () => {
    down()
    scene.start()
    await write(1, 20)
    await scene.pass(3_600_000, 100)
    await write(21, 40)
    const before = scene.side.tries.length
    // A try after a quarter of the time that it is down.
    expect(before).toBeLessThan(60)
    await scene.pass(5 * 3_600_000, 100)
    expect(scene.side.tries.length - before).toBeLessThan(60)
    expect(new Set(scene.statuses())).toEqual(new Set(['pending']))
    const { deliveries: log } = await scene.side.deliveries.list('id_1', 1, { limit: 100 })
    const nextAt = [...new Set(log.map(({ next_attempt_at }) => Date.parse(next_attempt_at ?? '')))]
    expect(nextAt).toHaveLength(1)
    expect(nextAt[0]).toBeGreaterThan(scene.clock.now())
    expect(nextAt[0]).toBeLessThanOrEqual(scene.clock.now() + 720_000)

    const during = scene.side.tries.length
    up()
    await scene.pass(720_000, 100)
    const expected = ['a', 'b', 'c'].map(chat =>
      Array.from({ length: 40 }, (_, index) => `${chat}${index + 1}`),
    )
    expect(['a', 'b', 'c'].map(chat => ofChat(delivered(during), chat))).toEqual(expected)
    expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
  })

  test('for seconds, it is found to be back within seconds', async () => {
    down()
    scene.start()
    await write(1, 3)
    await scene.pass(20_000, 200)
    up()
    await scene.pass(8_000, 80)
    expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
  })

  test('what comes one by one in a chat keeps its order, too', async () => {
    down()
    scene.start()
    await scene.happens('a1', { roomId: '!a:s' })
    await scene.pass(60_000, 100)
    for (const text of ['a2', 'a3']) {
      await scene.happens(text, { roomId: '!a:s' })
      await scene.pass(60_000, 100)
    }
    const before = scene.side.tries.length
    up()
    await scene.pass(60_000, 100)
    expect(delivered(before)).toEqual(['a1', 'a2', 'a3'])
  })

  test('a restart neither forgets that nor loses the order', async () => {
    down()
    scene.start()
    await write(1, 3)
    await scene.pass(3_600_000, 100)
    await scene.stop()
    const before = scene.side.tries.length
    scene.start()
    await scene.pass(3_600_000, 100)
    expect(scene.side.tries.length - before).toBeLessThan(30)
    const during = scene.side.tries.length
    up()
    await scene.pass(720_000, 100)
    for (const chat of ['a', 'b', 'c'])
      expect(ofChat(delivered(during), chat)).toEqual([`${chat}1`, `${chat}2`, `${chat}3`])
  })

  test('it is left alone for as long as it asks', async () => {
    scene.side.endpoint.answer = () => refused(503, 3_600)
    scene.start()
    await write(1, 3)
    await scene.pass(3_500_000, 100)
    expect(scene.side.tries).toHaveLength(3)
    await scene.pass(3_600_000, 100)
    // Five failures in a row, of several deliveries, hold its lanes.
    const before = scene.side.tries.length
    expect(before).toBeLessThanOrEqual(6)
    await scene.happens('d1', { roomId: '!d:s' })
    await scene.pass(1_000)
    expect(scene.side.tries).toHaveLength(before)
  })

  test('another URL is tried at once', async () => {
    down()
    scene.start()
    await write(1, 3)
    await scene.pass(3_600_000, 100)
    up()
    await scene.side.webhooks.update('id_1', 1, { url: 'http://hook/new' })
    await scene.pass(100)
    expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
  })

  test('a retry by hand is made at once', async () => {
    down()
    scene.start()
    await write(1, 3)
    await scene.pass(3_600_000, 100)
    up()
    await scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)
    await scene.pass(100)
    expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
  })

  test('the machine’s clock may be set: nothing is given up or stalls', async () => {
    down()
    scene.start()
    await write(1, 3)
    await scene.pass(60_000, 100)
    for (const byMs of [10 * DAY, -20 * DAY]) {
      scene.clock.set(byMs)
      scene.db.connection.run('UPDATE delivery_lanes SET due_at = due_at + ?', [byMs])
      scene.db.connection.run('UPDATE webhooks SET failing_since = failing_since + ?', [byMs])
      const before = scene.side.tries.length
      await scene.pass(60_000, 100)
      expect(scene.side.tries.length).toBeGreaterThan(before)
      expect(new Set(scene.statuses())).toEqual(new Set(['pending']))
    }
    up()
    await scene.pass(60_000, 100)
    expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
  })

  test('what was tried for three days is dead', async () => {
    down()
    scene.start({ disableAfterMs: 30 * DAY })
    for (const text of ['a1', 'a2']) await scene.happens(text, { roomId: '!a:s' })
    await scene.pass(3 * DAY, 400)
    expect(scene.statuses()).toEqual(['pending', 'pending'])
    await scene.pass(DAY / 2, 100)
    expect(scene.statuses()[0]).toBe('dead')
  })

  test('one refused for itself leaves its chat when others get through, with its days before it', async () => {
    scene.side.endpoint.answer = ({ payload }) => (payload.message === 'bad' ? refused(400) : OK)
    scene.start()
    await scene.happens('bad', { roomId: '!a:s' })
    await scene.pass(4 * 3_600_000, 200)
    // Nothing else is known of the endpoint: other chats aren't held for it.
    await scene.happens('b1', { roomId: '!b:s' })
    await scene.pass(100)
    expect(scene.texts().at(-1)).toBe('b1')
    await scene.happens('a1', { roomId: '!a:s' })
    await scene.pass(720_000, 100)
    expect(scene.texts()).toContain('a1')
    const before = scene.side.tries.length
    expect(scene.statuses()).toEqual(['pending', 'succeeded', 'succeeded'])
    await scene.pass(6 * DAY, 400)
    expect(scene.side.tries.length - before).toBeGreaterThanOrEqual(7)
    expect(scene.statuses()[0]).toBe('dead')
  })
})

test('an endpoint that finds the body too large is told of the file by its address from then on', async () => {
  const withFile: PayloadMaker = async (payload, mayInline) => {
    const isInline = (await mayInline?.(3)) ?? true
    return { ...payload, media: { content: isInline ? 'YWJj' : null } }
  }
  const contents = () =>
    scene.side.tries.map(({ payload }) => (payload.media as { content: unknown }).content)
  scene.event('file')
  scene.side.endpoint.answer = () => refused([500, 413, 500][scene.side.tries.length - 1] ?? 503)
  scene.start({ payloads: withFile })
  await scene.pass(24 * 3_600_000, 200)
  const [first, second, ...rest] = contents()
  expect([first, second]).toEqual(['YWJj', 'YWJj'])
  expect(rest.length).toBeGreaterThan(3)
  expect(new Set(rest)).toEqual(new Set([null]))
})

test('while another still gets the file itself', async () => {
  const withFile: PayloadMaker = async (payload, mayInline) => {
    const content = (await mayInline?.(3)) ? 'YWJj' : null
    return { ...payload, media: { content } }
  }
  const gate = Promise.withResolvers<WebhookAnswer>()
  scene.hook(2)
  scene.side.endpoint.answer = ({ url }) => (url === 'http://hook/1' ? refused(413) : gate.promise)
  scene.start({ payloads: withFile })
  await scene.happens('file')
  await scene.pass(100)
  const contents = scene.side.tries.map(({ payload }) => (payload.media as { content: unknown }).content)
  expect(contents).toEqual(['YWJj', 'YWJj', null])
  gate.resolve(OK)
})

test('a webhook gets files as it asks for them, also when it has changed its mind meanwhile', async () => {
  const made: unknown[] = []
  const how: PayloadMaker = async (payload, mayInline) => {
    const media = mayInline === null ? 'none' : (await mayInline?.(3)) ? 'inline' : 'url'
    made.push(media)
    if (payload.event === 'message.deleted' && media === 'url')
      await scene.side.webhooks.update('id_1', 2, { media: 'none' })
    return { ...payload, media }
  }
  scene.hook(2, { media: 'url' })
  scene.hook(3, { media: 'none' })
  scene.start({ payloads: how })
  await scene.happens('file')
  await scene.pass(100)
  const seen = () => scene.side.tries.map(({ url, payload }) => `${url.at(-1)} ${payload.media}`).sort()
  expect(seen()).toEqual(['1 inline', '2 url', '3 none'])
  await scene.happens('another', { name: 'message.deleted' })
  await scene.pass(100)
  expect(seen()).toEqual(['1 inline', '1 inline', '2 none', '2 url', '3 none', '3 none'])
})

test('an event’s body is made once for all webhooks that get it, and signed for each', async () => {
  let made = 0
  for (let id = 2; id <= 20; id++) scene.hook(id)
  const gate = Promise.withResolvers<WebhookAnswer>()
  scene.side.endpoint.answer = () => gate.promise
  scene.start({
    async payloads(payload, mayInline) {
      made++
      await mayInline?.(3 * 1024 * 1024)
      return asStored(payload)
    },
  })
  for (let file = 0; file < 4; file++) await scene.happens(`file ${file}`, { roomId: `!${file}:s` })
  await scene.pass(100)
  expect(scene.side.tries).toHaveLength(80)
  expect(made).toBe(4)
  expect(new Set(scene.side.tries.map(({ body }) => body)).size).toBe(4)
  expect(new Set(scene.side.tries.map(({ id }) => id)).size).toBe(80)
  gate.resolve(OK)
  await scene.pass(100)
  // Nothing of them is left: what comes for the same event is made anew.
  await scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)
  await scene.pass(100)
  expect(made).toBe(5)
})

test('a switched-off webhook gets nothing', async () => {
  scene.hook(2, { active: false })
  scene.event('1', { webhookId: 2 })
  scene.start()
  await scene.pass(60_000)
  expect(scene.side.tries).toEqual([])
  expect(scene.statuses()).toEqual(['pending'])
})

test.each([
  ['has expired', () => scene.db.orm.update(tokens).set({ expiresAt: scene.clock.now() }).run()],
  ['is gone', () => scene.db.orm.delete(tokens).run()],
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
      scene.db.orm
        .insert(credentials)
        .values({ ...row, ...times })
        .run()
      scene.db.orm.update(tokens).set({ credentialId: 'app' }).run()
    },
  ],
])('an identity whose only token %s gets nothing until it has a usable one', async (_, shutOut) => {
  shutOut()
  scene.event('1')
  scene.start()
  await scene.pass(60_000)
  expect(scene.side.tries).toEqual([])
  insertToken(scene.db)
  await scene.pass(10_000)
  expect(scene.texts()).toEqual(['1'])
})

describe('what is not on the wire when a change is answered', () => {
  /** Makes `change` while one of three is on the wire, then answers. @returns the later tries */
  async function afterChange(change: () => Promise<unknown>) {
    const gate = Promise.withResolvers<WebhookAnswer>()
    for (const text of ['1', '2', '3']) scene.event(text)
    scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? gate.promise : OK)
    scene.start()
    await scene.idle()
    expect(scene.texts()).toEqual(['1'])
    await change()
    gate.resolve(OK)
    await scene.pass(30_000)
    return scene.side.tries.slice(1)
  }

  test.each([
    ['deleted', () => scene.side.webhooks.remove('id_1', 1), []],
    [
      'switched off',
      () => scene.side.webhooks.update('id_1', 1, { active: false }),
      ['succeeded', 'pending', 'pending'],
    ],
    [
      'without a usable token',
      async () => scene.db.orm.delete(tokens).run(),
      ['succeeded', 'pending', 'pending'],
    ],
  ])('is not sent to a webhook that is %s', async (_, change, statuses) => {
    expect(await afterChange(change)).toEqual([])
    expect(scene.statuses()).toEqual(statuses as never)
  })

  test('goes when the webhook is switched on again', async () => {
    await afterChange(() => scene.side.webhooks.update('id_1', 1, { active: false }))
    await scene.side.webhooks.update('id_1', 1, { active: true })
    await scene.pass(100)
    expect(scene.texts()).toEqual(['1', '2', '3'])
  })

  test('goes to the new URL, with the new headers', async () => {
    const change = { url: 'http://hook/new', headers: { 'x-key': 'new' } }
    const tries = await afterChange(() => scene.side.webhooks.update('id_1', 1, change))
    expect(tries.map(({ url, headers }) => ({ url, headers }))).toEqual([change, change])
  })

  test('is signed by the new secret alone when the old one ends at once', async () => {
    let secret = ''
    const tries = await afterChange(async () => {
      secret = (await scene.side.webhooks.rotateSecret('id_1', 1, 0)).secret
    })
    expect(tries.map(({ secrets }) => secrets)).toEqual([[secret], [secret]])
  })

  test('is not sent when its event is no longer asked for, unless it is asked for again by itself', async () => {
    const { update } = scene.side.webhooks
    expect(await afterChange(() => update('id_1', 1, { events: ['device.connected'] }))).toEqual([])
    expect(scene.statuses()).toEqual(['succeeded', 'dead', 'dead'])
    const dropped = scene.rows()[1]?.id as string
    expect((await scene.side.deliveries.get('id_1', dropped)).attempts).toMatchObject([
      { status: null, error: 'not sent: the webhook no longer asks for message.received' },
    ])
    await scene.side.deliveries.retry('id_1', dropped)
    await scene.pass(100)
    expect(scene.texts()).toEqual(['1', '2'])
    // Its result says nothing about the endpoint.
    expect((await scene.side.webhooks.get('id_1', 1)).last_error).toBeNull()
  })

  test('is not sent when its event is no longer asked for, though an outage left tries uncounted', async () => {
    scene.event('1')
    scene.db.orm.update(deliveries).set({ attempts: 8, uncountedAttempts: 2 }).run()
    await scene.side.webhooks.update('id_1', 1, { events: ['device.connected'] })
    scene.start()
    await scene.pass(100)
    expect(scene.texts()).toEqual([])
    expect(scene.statuses()).toEqual(['dead'])
  })

  test('is gone with its webhook, of which a try on the wire leaves nothing', async () => {
    const gate = Promise.withResolvers<WebhookAnswer>()
    scene.event('1')
    scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? refused(500) : gate.promise)
    scene.start()
    await scene.pass(7_000)
    expect(scene.texts()).toEqual(['1', '1'])
    await scene.side.webhooks.remove('id_1', 1)
    gate.resolve(refused(500))
    await scene.idle()
    expect(scene.rows()).toEqual([])
    expect(scene.db.orm.select().from(deliveryLanes).all()).toEqual([])
    expect(scene.db.orm.select().from(deliveryAttempts).all()).toEqual([])
  })

  test('keeps its place in the queue when it takes the number of one that was removed under way', async () => {
    const gate = Promise.withResolvers<WebhookAnswer>()
    scene.hook(2)
    scene.event('1')
    scene.side.endpoint.answer = ({ url }) => (url.endsWith('/1') ? gate.promise : refused(500))
    scene.start()
    await scene.idle()
    const [removed] = scene.rows()
    await scene.side.webhooks.remove('id_1', 1)
    scene.event('2', { webhookId: 2 })
    expect(scene.rows()[0]?.seq).toBe(removed?.seq as number)
    gate.resolve(OK)
    await scene.idle()
    expect(scene.statuses()).toEqual(['pending'])
    scene.side.endpoint.answer = () => OK
    await scene.pass(10_000)
    expect(scene.texts()).toContain('2')
  })

  test('is not sent when the change is made while its body is prepared', async () => {
    const file = Promise.withResolvers<void>()
    scene.event('1')
    scene.start({
      async payloads(payload) {
        await file.promise
        return asStored(payload)
      },
    })
    await scene.idle()
    await scene.side.webhooks.remove('id_1', 1)
    file.resolve()
    await scene.idle()
    expect(scene.side.tries).toEqual([])
  })
})

test('a hanging endpoint has a bounded number of tries under way, and delays no other', async () => {
  scene.hook(2)
  const gate = Promise.withResolvers<WebhookAnswer>()
  for (let room = 0; room < 10; room++) scene.event('slow', { roomId: `!${room}:s` })
  scene.side.endpoint.answer = request => (request.url.endsWith('/1') ? gate.promise : OK)
  scene.start()
  await scene.idle()
  for (let room = 0; room < 10; room++) scene.event('fast', { webhookId: 2, roomId: `!${room}:s` })
  scene.db.signals.emit('deliveries')
  await scene.pass(100)
  expect(scene.texts().filter(text => text === 'slow')).toHaveLength(4)
  expect(scene.texts().filter(text => text === 'fast')).toHaveLength(10)
  gate.resolve(OK)
  await scene.pass(100)
  expect(scene.texts().filter(text => text === 'slow')).toHaveLength(10)
})

test('a chat has one try under way, however long its endpoint takes', async () => {
  const gate = Promise.withResolvers<WebhookAnswer>()
  for (const text of ['1', '2', '3']) scene.event(text)
  scene.side.endpoint.answer = ({ payload }) => (payload.message === '1' ? gate.promise : OK)
  scene.start()
  await scene.pass(30 * 3_600_000, 100)
  expect(scene.texts()).toEqual(['1'])
  gate.resolve(OK)
  await scene.idle()
  expect(scene.texts()).toEqual(['1', '2', '3'])
  expect(scene.rows().map(({ attempts }) => attempts)).toEqual([1, 1, 1])
  expect(scene.db.orm.select().from(deliveryLanes).all()).toEqual([])
})

test('however many endpoints of an identity hang, those of another are told at once', async () => {
  const gate = Promise.withResolvers<WebhookAnswer>()
  scene.side.endpoint.answer = ({ payload }) => (payload.message === 'hangs' ? gate.promise : OK)
  // More than all the lanes there are.
  for (let id = 2; id <= 9; id++) scene.hook(id)
  for (let lane = 0; lane < 2_040; lane++)
    scene.event('hangs', { webhookId: 2 + (lane % 8), roomId: `!${lane}:s` })
  scene.start({ concurrencyPerEndpoint: 256 })
  await scene.pass(100)
  insertIdentity(scene.db, 'id_2', '@mg2:s')
  insertToken(scene.db, { identityId: 'id_2' })
  scene.hook(1, { identityId: 'id_2' })
  scene.event('told', { identityId: 'id_2' })
  scene.db.signals.emit('deliveries')
  await scene.pass(100)
  expect(scene.texts()).toContain('told')
  expect(scene.texts().filter(text => text === 'hangs')).toHaveLength(1_000)
  gate.resolve(OK)
  await scene.pass(10_000, 100)
  expect(scene.texts()).toHaveLength(2_041)
})

describe('files in deliveries under way', () => {
  const FILE_BYTES = 4 * 1024 * 1024
  /** Messages that begin with "file" come with one, which takes memory while it is delivered. */
  const withFiles: PayloadMaker = async (payload, mayInline) => {
    const { message } = payload as unknown as { message: string }
    if (message.startsWith('file')) await mayInline?.(FILE_BYTES)
    return asStored(payload)
  }
  const filesUnderWay = () => scene.texts().filter(text => text === 'file').length

  test('are bounded in bytes, and hold up neither messages without one nor files of others', async () => {
    const gate = Promise.withResolvers<WebhookAnswer>()
    scene.side.endpoint.answer = ({ url }) => (url.endsWith('/1') ? gate.promise : OK)
    scene.hook(2)
    for (let room = 0; room < 40; room++) scene.event('file', { roomId: `!${room}:s` })
    scene.start({ concurrencyPerEndpoint: 100, payloads: withFiles })
    await scene.pass(100)
    const most = filesUnderWay()
    // As body and on its way out, in base64: 64 MiB is half of all there is.
    expect(most * FILE_BYTES * (8 / 3)).toBeLessThanOrEqual(64 * 1024 * 1024)
    expect(most).toBeGreaterThan(1)

    scene.event('text', { webhookId: 2 })
    insertIdentity(scene.db, 'id_2', '@mg2:s')
    insertToken(scene.db, { identityId: 'id_2' })
    scene.hook(2, { identityId: 'id_2' })
    scene.event('file of another', { identityId: 'id_2', webhookId: 2 })
    scene.db.signals.emit('deliveries')
    await scene.pass(100)
    expect(scene.texts()).toContain('text')
    expect(scene.texts()).toContain('file of another')
    // Those that wait give up in between, and cost the endpoint nothing.
    await scene.pass(30_000)
    expect(filesUnderWay()).toBe(most)
    gate.resolve(OK)
    await scene.pass(10_000)
    expect(scene.rows().map(({ status, attempts }) => [status, attempts])).toEqual(
      Array(42).fill(['succeeded', 1]),
    )
  })

  test('give their memory back when they are not to be sent any more', async () => {
    const read = Promise.withResolvers<void>()
    for (let room = 0; room < 12; room++) scene.event('file', { roomId: `!${room}:s` })
    scene.start({
      concurrencyPerEndpoint: 100,
      async payloads(payload, mayInline) {
        const made = await withFiles(payload, mayInline)
        await read.promise
        return made
      },
    })
    await scene.idle()
    await scene.side.webhooks.update('id_1', 1, { active: false })
    read.resolve()
    await scene.idle()
    expect(scene.side.tries).toEqual([])
    await scene.side.webhooks.update('id_1', 1, { active: true })
    await scene.pass(100)
    expect(filesUnderWay()).toBe(12)
  })
})

test('what was under way when the process died is delivered again with the same id', async () => {
  scene.event('1')
  const gate = Promise.withResolvers<WebhookAnswer>()
  scene.side.endpoint.answer = () => gate.promise
  scene.start()
  await scene.idle()
  scene.side.endpoint.answer = () => OK
  scene.start()
  await scene.idle()
  expect(scene.side.tries.map(attempt => attempt.id)).toEqual([
    scene.side.tries[0]?.id,
    scene.side.tries[0]?.id,
  ] as never)
  gate.resolve(OK)
})
