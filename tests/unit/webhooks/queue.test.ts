/** The queue of deliveries: what a claim costs, whatever waits for others. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { deliveries, deliveryLanes } from '../../../src/db/schema/index.ts'
import {
  type ClaimedDeliveries,
  type ClaimedDelivery,
  createDeliveryQueue,
} from '../../../src/modules/webhooks/queue-repository.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
let leases = 0
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

/** Lanes as deliveries that failed twice leave them. */
function setAside(endpoint: string, count: number, dueAt: number): void {
  const { connection } = scene.db
  const insert = connection.prepare('INSERT INTO delivery_lanes (lane, endpoint, due_at) VALUES (?, ?, ?)')
  connection.transaction(() => {
    for (let index = 0; index < count; index++) insert.run(`${endpoint}/aside/${index}`, endpoint, dueAt)
  })()
}

const claim = (
  queue: ReturnType<typeof createDeliveryQueue>,
  now = scene.clock.now(),
  leaseId = `lease_${++leases}`,
) =>
  queue.claim({
    leaseId,
    now,
    freeOf: () => 10,
    freeOfIdentity: () => 10,
    maxLanes: 1_000,
    maxDeliveriesPerLane: 10,
  })

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let round = 0; round < 21; round++) {
    const before = performance.now()
    await work()
    took.push(performance.now() - before)
  }
  return took.sort((one, other) => one - other)[10] as number
}

test('an endpoint that has been down for days makes no claim dearer', async () => {
  const queue = createDeliveryQueue(scene.db)
  const work = async () => {
    expect(await claim(queue)).toEqual([])
    await queue.nextDueAt(scene.clock.now())
  }
  const before = await medianMs(work)
  setAside('id_1/1', 100_000, scene.clock.now() + 3_600_000)
  expect(await queue.nextDueAt(scene.clock.now())).toBe(scene.clock.now() + 3_600_000)
  // Going through its lanes takes hundreds of times as long.
  expect(await medianMs(work)).toBeLessThan(before * 10 + 2)
})

test('a lane is due whatever long ago its time was', async () => {
  setAside('id_1/1', 1, 0)
  expect(await claim(createDeliveryQueue(scene.db))).toMatchObject([{ lane: 'id_1/1/aside/0' }])
})

test.each([3, 150])('of %d endpoints each gets its turn, the longest due first', async count => {
  const queue = createDeliveryQueue(scene.db)
  for (let id = 2; id <= count; id++) scene.hook(id)
  for (let id = 1; id <= count; id++) setAside(`id_1/${id}`, 2, scene.clock.now() - id)
  setAside('id_1/1000', 2, scene.clock.now() + 1)
  for (let round = 0; round < 3; round++) {
    const claimed = await claim(queue, scene.clock.now())
    const endpoints = [...new Set(claimed.map(({ endpoint }) => endpoint))]
    expect(endpoints).toEqual(Array.from({ length: count }, (_, index) => `id_1/${count - index}`))
    // As after a restart.
    await queue.releaseAbandoned(scene.clock.now() - 1)
    scene.db.connection.run(
      "UPDATE delivery_lanes SET due_at = due_at + 1 - CAST(substr(endpoint, 6) AS INTEGER) WHERE endpoint <> 'id_1/1000'",
    )
  }
})

describe('a lane', () => {
  const lanes = () => scene.db.orm.select().from(deliveryLanes).all()

  test('is claimed by nobody else until it is given back, however late it is', async () => {
    const queue = createDeliveryQueue(scene.db)
    scene.event('1')
    const [held] = await claim(queue)
    const muchLater = scene.clock.now() + 30 * 24 * 3_600_000
    expect(await claim(queue, muchLater)).toEqual([])
    await queue.release(held as ClaimedDeliveries, muchLater)
    expect(await claim(queue, muchLater)).toMatchObject([{ lane: 'id_1/1/!r:s' }])
  })

  test('is neither closed nor given back by whoever held it before', async () => {
    const queue = createDeliveryQueue(scene.db)
    scene.event('1')
    const [before] = await claim(queue)
    await queue.releaseAbandoned(scene.clock.now())
    const [now] = await claim(queue)
    const held = lanes()
    expect(held).toMatchObject([{ leaseId: now?.leaseId }])
    await queue.release(before as ClaimedDeliveries, 0)
    expect(lanes()).toEqual(held)
    scene.db.orm.update(deliveries).set({ status: 'succeeded' }).run()
    await queue.release(before as ClaimedDeliveries, 0)
    expect(lanes()).toEqual(held)
    await queue.release(now as ClaimedDeliveries, 0)
    expect(lanes()).toEqual([])
  })

  test('that somebody holds stays theirs when a delivery is set aside into it', async () => {
    const queue = createDeliveryQueue(scene.db)
    scene.event('1')
    const [held] = (await claim(queue)) as [ClaimedDeliveries]
    const delivery = held.deliveries[0] as ClaimedDelivery
    scene.db.orm
      .update(deliveryLanes)
      .set({ lane: `id_1/1/aside/${delivery.id}` })
      .run()
    const attempt = { at: 1, status: 500, error: 'HTTP 500', latencyMs: 1, response: '' }
    const settlement = { outcome: 'set_aside' as const, dueAt: 5, uncounted: 0, attempt }
    await queue.settle(held, delivery, settlement, null)
    expect(lanes()).toMatchObject([{ leaseId: held.leaseId }])
  })
})

test('what waits for a webhook that is switched off is not due', async () => {
  scene.hook(2, { active: false })
  const queue = createDeliveryQueue(scene.db)
  setAside('id_1/2', 1, 5)
  expect(await queue.nextDueAt(0)).toBeNull()
  setAside('id_1/1', 1, 7)
  expect(await queue.nextDueAt(0)).toBe(7)
})

test('a delivery that succeeds at once writes no more rows than it did before there was a log', async () => {
  const changes = () =>
    scene.db.connection.query<{ rows: number }, []>('SELECT total_changes() AS rows').get()?.rows ?? 0
  scene.start()
  const deliver = async (text: string) => {
    const before = changes()
    await scene.happens(text)
    await scene.pass(10)
    return changes() - before
  }
  await deliver('the first is noted as a success of the endpoint')
  // The event, its delivery, its lane; the lease; what came of it; the lane again.
  expect(await deliver('the second is not')).toBe(6)
  expect(scene.statuses()).toEqual(['succeeded', 'succeeded'])
})
