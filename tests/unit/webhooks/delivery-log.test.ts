/** The delivery log, what its readers can ask for again, and trying a webhook out. */
import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import {
  deliveries,
  deliveryAttempts,
  deliveryLanes,
  events,
  webhooks,
} from '../../../src/db/schema/index.ts'
import { createWebhookRepository } from '../../../src/modules/webhooks/webhook-repository.ts'
import { OK, refused } from '../../support/test-webhooks.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

const list = (query: Partial<Parameters<typeof scene.side.deliveries.list>[2]> = {}) =>
  scene.side.deliveries.list('id_1', 1, { limit: 50, ...query })
const AN_HOUR = 3_600_000

test('a delivery that succeeds at once is logged whole, without a row beside its own', async () => {
  await scene.happens('hello')
  scene.start()
  await scene.idle()
  const { deliveries: logged, next } = await list()
  expect(next).toBeNull()
  expect(logged).toEqual([
    {
      id: scene.side.tries[0]?.id as string,
      webhook_id: 1,
      event: 'message.received',
      event_id: '$1',
      status: 'succeeded',
      attempt_count: 1,
      attempts: [{ at: '2026-04-27T10:00:00Z', status: 200, error: null, latency_ms: 7, response: 'ok' }],
      next_attempt_at: null,
      created_at: '2026-04-27T10:00:00Z',
      settled_at: '2026-04-27T10:00:00Z',
    },
  ])
  expect(scene.db.orm.select().from(deliveryAttempts).all()).toEqual([])
})

test('every try is logged, and when the next one is due', async () => {
  await scene.happens('hello')
  const answers = [refused(500), refused(null), OK]
  scene.side.endpoint.answer = () => answers[scene.side.tries.length - 1] ?? OK
  scene.start()
  await scene.idle()
  const [waiting] = (await list()).deliveries
  expect(waiting).toMatchObject({ status: 'pending', attempt_count: 1, settled_at: null })
  const wait = Date.parse(waiting?.next_attempt_at ?? '') - scene.clock.now()
  expect(wait).toBeGreaterThanOrEqual(40)
  expect(wait).toBeLessThanOrEqual(60)
  await scene.pass(AN_HOUR, 100)
  const [settled] = (await list()).deliveries
  expect(settled).toMatchObject({ status: 'succeeded', attempt_count: 3, next_attempt_at: null })
  expect(settled?.attempts.map(({ status, error }) => ({ status, error }))).toEqual([
    { status: 500, error: 'HTTP 500' },
    { status: null, error: 'HTTP null' },
    { status: 200, error: null },
  ])
  expect(scene.db.orm.select().from(deliveryAttempts).all()).toHaveLength(2)
})

test('one that is under way has no next try', async () => {
  await scene.happens('hello')
  const gate = Promise.withResolvers<typeof OK>()
  scene.side.endpoint.answer = () => gate.promise
  scene.start()
  await scene.idle()
  expect((await list()).deliveries[0]).toMatchObject({
    status: 'pending',
    next_attempt_at: null,
    attempts: [],
  })
  gate.resolve(OK)
})

describe('reading', () => {
  beforeEach(async () => {
    scene.db.orm
      .update(webhooks)
      .set({ events: ['*'] })
      .run()
    for (let index = 0; index < 500; index++) {
      const name = index % 100 === 7 ? 'message.deleted' : 'message.received'
      await scene.happens(`${index}`, { name })
    }
  })
  const ids = async (query = {}) => (await list(query)).deliveries.map(({ event_id }) => event_id)

  test('goes from the newest event on, page by page, to the end', async () => {
    expect(await ids({ limit: 3 })).toEqual(['$500', '$499', '$498'])
    const seen: string[] = []
    let before: string | undefined
    for (let pages = 0; pages < 100; pages++) {
      const page = await list({ limit: 37, before })
      seen.push(...page.deliveries.map(({ event_id }) => event_id))
      if (page.next === null) break
      before = page.next
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, index) => `$${500 - index}`))
  })

  test('by status and event', async () => {
    const first = scene.rows()[0]?.id as string
    scene.db.connection.run("UPDATE deliveries SET status = 'dead', settled_at = 1 WHERE id = ?", [first])
    expect(await ids({ status: 'dead' })).toEqual(['$1'])
    expect(await ids({ event: 'message.deleted', limit: 2 })).toEqual(['$408', '$308'])
    expect(await ids({ event: 'message.deleted' })).toHaveLength(5)
    expect(await ids({ event: 'message.deleted', status: 'dead' })).toEqual([])
    await expect(list({ event: 'nothing' })).rejects.toMatchObject({ code: 'bad_request' })
  })

  /** So many more than a page looks at. */
  const muchMore = () =>
    scene.db.write(async () => {
      for (let index = 0; index < 5_100; index++) scene.event(`${index}`)
      scene.db.connection.run("UPDATE deliveries SET status = 'succeeded', settled_at = 1")
    })

  test('a filter that hardly anything passes looks at a bounded number of rows, and says where to go on', async () => {
    await muchMore()
    const page = await list({ event: 'message.deleted', limit: 6 })
    expect(page.deliveries).toEqual([])
    const rest = await list({ event: 'message.deleted', limit: 6, before: page.next as string })
    expect([rest.deliveries.length, rest.next]).toEqual([5, null])
  })

  test('what waits and what is dead is found at once, however much came after it', async () => {
    const [dead, ...waiting] = scene.rows().slice(0, 4)
    await muchMore()
    const set = scene.db.connection.query('UPDATE deliveries SET status = ? WHERE id = ?')
    set.run('dead', dead?.id ?? '')
    for (const { id } of waiting) set.run('pending', id)
    // Its webhook's key begins like the first one's.
    scene.hook(10)
    scene.event('other', { webhookId: 10 })
    expect(await ids({ status: 'dead' })).toEqual(['$1'])
    expect(await ids({ status: 'dead', event: 'message.received' })).toEqual(['$1'])
    expect(await ids({ status: 'dead', event: 'message.deleted' })).toEqual([])
    expect(await ids({ status: 'pending' })).toEqual(['$4', '$3', '$2'])
    const page = await list({ status: 'pending', limit: 2 })
    expect(page.next).toBe(waiting[1]?.id as string)
    const rest = await list({ status: 'pending', limit: 2, before: page.next as string })
    expect([rest.deliveries.map(({ event_id }) => event_id), rest.next]).toEqual([['$2'], null])
  })

  test('goes by indexes, and sorts only what waits', async () => {
    const { connection } = scene.db
    const prepare = spyOn(connection, 'prepare')
    const filters = [{}, { event: 'message.deleted' }, { status: 'dead' }, { status: 'pending' }] as const
    for (const filter of filters) await list(filter)
    await list({ status: 'dead', event: 'message.deleted' })
    const statements = prepare.mock.calls.map(([text]) => text).filter(text => text.includes('order by'))
    prepare.mockRestore()
    const plans = statements.map(text =>
      connection
        .query<{ detail: string }, null[]>(`EXPLAIN QUERY PLAN ${text}`)
        .all(...Array(text.split('?').length - 1).fill(null))
        .map(({ detail }) => detail)
        .join('\n'),
    )
    const sorting = plans.filter(plan => plan.includes('TEMP B-TREE'))
    expect(plans.filter(plan => plan.includes('SCAN'))).toEqual([])
    expect(plans.filter(plan => plan.includes('INDEX deliveries_event (identity_id=?'))).toHaveLength(2)
    expect(plans.filter(plan => plan.includes('INDEX deliveries_dead (identity_id=?'))).toHaveLength(2)
    expect(sorting).toEqual([
      expect.stringContaining('COVERING INDEX deliveries_waiting (lane>? AND lane<?)'),
    ])
  })

  test('what is not the webhook’s own is not there', async () => {
    scene.hook(2)
    const of = scene.side.deliveries
    const id = scene.rows()[0]?.id as string
    const missing = { code: 'not_found' }
    await expect(of.list('id_1', 9, { limit: 1 })).rejects.toMatchObject(missing)
    await expect(of.list('id_2', 1, { limit: 1 })).rejects.toMatchObject(missing)
    await expect(of.list('id_1', 2, { limit: 1, before: id })).rejects.toMatchObject(missing)
    await expect(of.get('id_2', id)).rejects.toMatchObject(missing)
    await expect(of.retry('id_2', id)).rejects.toMatchObject(missing)
    await expect(of.test('id_2', 1)).rejects.toMatchObject(missing)
  })
})

describe('a retry', () => {
  test('of a dead delivery begins its tries anew, under the same id', async () => {
    await scene.happens('hello')
    scene.side.endpoint.answer = () => refused(500)
    scene.start()
    await scene.pass(4 * 24 * AN_HOUR, 400)
    const [dead] = (await list()).deliveries
    expect(dead?.status).toBe('dead')
    const { id, attempt_count: tries } = dead as NonNullable<typeof dead>
    // More than a delivery has that leaves its chat, whose next failure would be its last.
    expect(tries).toBeGreaterThan(13)
    expect(await scene.side.deliveries.retry('id_1', id)).toMatchObject({ id, status: 'pending' })
    await scene.idle()
    expect((await list()).deliveries[0]).toMatchObject({ status: 'pending', attempt_count: tries + 1 })
    scene.side.endpoint.answer = () => OK
    await scene.pass(AN_HOUR, 100)
    expect((await list()).deliveries[0]).toMatchObject({ status: 'succeeded', attempt_count: tries + 2 })
    expect(new Set(scene.side.tries.map(request => request.id))).toEqual(new Set([id]))
  })

  test('of one that succeeded sends it again', async () => {
    await scene.happens('hello')
    scene.start()
    await scene.idle()
    await scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)
    await scene.pass(10)
    expect(scene.texts()).toEqual(['hello', 'hello'])
    expect((await list()).deliveries[0]).toMatchObject({ status: 'succeeded', attempt_count: 2 })
  })

  test('of one that waits tries it now', async () => {
    await scene.happens('hello')
    scene.side.endpoint.answer = () => refused(500)
    scene.start()
    await scene.pass(AN_HOUR, 100)
    scene.side.endpoint.answer = () => OK
    expect(scene.statuses()).toEqual(['pending'])
    await scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)
    await scene.idle()
    expect(scene.statuses()).toEqual(['succeeded'])
  })

  test('of one that waits begins its tries anew, whatever its webhook asks for now', async () => {
    await scene.happens('hello')
    scene.side.endpoint.answer = () => refused(500)
    scene.start()
    await scene.pass(AN_HOUR, 100)
    const { id, attempt_count: tries = 0 } = (await list()).deliveries[0] ?? {}
    scene.db.orm
      .update(webhooks)
      .set({ events: ['device.connected'] })
      .run()
    await scene.side.deliveries.retry('id_1', id as string)
    await scene.idle()
    const [failed] = (await list()).deliveries
    expect(failed).toMatchObject({ status: 'pending', attempt_count: tries + 1 })
    // As after a first try, not after half an hour as its next one would have been.
    expect(Date.parse(failed?.next_attempt_at ?? '') - scene.clock.now()).toBeLessThan(100)
    scene.side.endpoint.answer = () => OK
    await scene.pass(1_000)
    expect(scene.statuses()).toEqual(['succeeded'])
  })

  test('of one that is under way is refused, and does not send it a second time', async () => {
    await scene.happens('hello')
    const gate = Promise.withResolvers<typeof OK>()
    scene.side.endpoint.answer = () => gate.promise
    scene.start()
    await scene.idle()
    await expect(scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('is under way'),
    })
    gate.resolve(OK)
    await scene.pass(10_000)
    expect(scene.side.tries).toHaveLength(1)
    expect(scene.statuses()).toEqual(['succeeded'])
  })

  test('at a webhook that is switched off is refused, and nothing is changed', async () => {
    await scene.happens('hello')
    scene.start()
    await scene.idle()
    scene.db.orm.update(webhooks).set({ active: false }).run()
    const retried = scene.side.deliveries.retry('id_1', scene.rows()[0]?.id as string)
    await expect(retried).rejects.toMatchObject({ code: 'conflict' })
    expect(scene.statuses()).toEqual(['succeeded'])
  })
})

describe('a test event', () => {
  test.each([
    [OK, true, 'succeeded'],
    [refused(500), false, 'dead'],
  ] as const)('%j: what the endpoint said is answered and logged', async (answer, delivered, status) => {
    scene.side.endpoint.answer = () => answer
    const result = await scene.side.deliveries.test('id_1', 1)
    expect(result).toMatchObject({ event: 'webhook.test', delivered, attempt: { status: answer.status } })
    expect(scene.side.tries).toMatchObject([
      { id: result.id, url: 'http://hook/1', payload: { event: 'webhook.test', webhook_id: 1 } },
    ])
    expect((await list()).deliveries).toMatchObject([
      { id: result.id, event: 'webhook.test', status, attempt_count: 1, attempts: [result.attempt] },
    ])
    expect(scene.side.observed).toMatchObject([
      { deliveryId: result.id, event: 'webhook.test', attempt: 1, outcome: status, status: answer.status },
    ])
    // Nobody else is told, and it is not tried again by itself.
    scene.start()
    await scene.pass(AN_HOUR)
    expect(scene.side.tries).toHaveLength(1)
  })

  test('also reaches a webhook that is switched off, and one that asks for other events', async () => {
    scene.hook(2, { active: false, events: ['message.status'] })
    expect((await scene.side.deliveries.test('id_1', 2)).delivered).toBeTrue()
  })
})

test('a webhook is removed in steps, between which others write', async () => {
  await scene.db.write(async () => {
    for (let index = 0; index < 2_000; index++) scene.event(`${index}`, { roomId: `!${index % 700}:s` })
  })
  let turns = 0
  const removing = scene.side.webhooks.remove('id_1', 1).then(() => true)
  while (!(await Promise.race([removing, scene.db.write(async () => false)]))) {
    turns++
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(turns).toBeGreaterThan(10)
  expect(scene.rows()).toEqual([])
  expect(scene.db.orm.select().from(deliveryLanes).all()).toEqual([])
})

test('what a kill left of a removed webhook goes later, and nothing of the others', async () => {
  scene.hook(2)
  scene.event('gone', { webhookId: 1 })
  scene.event('kept', { webhookId: 2 })
  scene.db.connection.run('DELETE FROM webhooks WHERE id = 1')
  await createWebhookRepository(scene.db, { maxPerIdentity: 100, health: { reset() {} } }).removeOrphans()
  expect(scene.rows().map(({ webhookId }) => webhookId)).toEqual([2])
  const lanes = scene.db.orm.select().from(deliveryLanes).all()
  expect(lanes.map(({ endpoint }) => endpoint)).toEqual(['id_1/2'])
})

test('what is removed takes its tries along', async () => {
  await scene.happens('hello')
  scene.side.endpoint.answer = () => refused(500)
  scene.start()
  await scene.pass(AN_HOUR, 100)
  expect(scene.db.orm.select().from(deliveryAttempts).all()).not.toEqual([])
  await scene.stop()
  await scene.side.webhooks.remove('id_1', 1)
  expect(scene.db.orm.select().from(deliveries).all()).toEqual([])
  expect(scene.db.orm.select().from(deliveryAttempts).all()).toEqual([])
  expect(scene.db.orm.select().from(events).all()).toHaveLength(1)
})
