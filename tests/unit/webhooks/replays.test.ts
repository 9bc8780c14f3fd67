/** Replays: which events, in which order, under which id, also after a restart. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { deliveries, replays, webhooks } from '../../../src/db/schema/index.ts'
import { createReplayRepository } from '../../../src/modules/webhooks/replay-repository.ts'
import { OK, refused } from '../../support/test-webhooks.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

const START = '2026-04-27T10:00:00Z'
const replay = (webhookId: number, request: { since?: string; until?: string; onlyFailed?: boolean } = {}) =>
  scene.side.replays.start('id_1', webhookId, { since: START, ...request })
const triesAt = (webhookId: number) => scene.side.tries.filter(({ url }) => url.endsWith(`/${webhookId}`))
const textsAt = (webhookId: number) => triesAt(webhookId).map(({ payload }) => String(payload.message))

/** As many events, in three rooms by turns. */
async function history(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await scene.happens(`${index}`, { roomId: `!${index % 3}:s` })
}

/** Those of one room, in the order they came. */
const ofRoom = (texts: string[], room: number) => texts.map(Number).filter(text => text % 3 === room)

test('delivers what was delivered before once more, in order, each under the id it had', async () => {
  await history(30)
  scene.start()
  await scene.idle()
  const ids = new Map(triesAt(1).map(({ payload, id }) => [payload.message, id]))
  scene.side.tries.length = 0
  expect(await replay(1)).toEqual({ events: 30 })
  await scene.pass(1_000)
  expect(textsAt(1)).toHaveLength(30)
  for (const room of [0, 1, 2]) {
    expect(ofRoom(textsAt(1), room)).toEqual([...Array(10).keys()].map(step => step * 3 + room))
  }
  for (const { payload, id } of triesAt(1)) expect(id).toBe(ids.get(payload.message) as string)
  expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
})

test('also delivers what happened before there was the webhook, before what it has got already', async () => {
  await history(9)
  scene.hook(2)
  await scene.happens('9', { roomId: '!0:s' })
  scene.start()
  await scene.idle()
  expect(textsAt(2)).toEqual(['9'])
  expect(await replay(2)).toEqual({ events: 10 })
  await scene.pass(1_000)
  expect(ofRoom(textsAt(2).slice(1), 0)).toEqual([0, 3, 6, 9])
  expect(new Set(triesAt(2).map(({ id }) => id)).size).toBe(10)
})

test('asked for twice it uses no second id', async () => {
  scene.hook(2, { active: false })
  await history(3)
  scene.db.orm.update(webhooks).set({ active: true }).run()
  scene.start()
  for (let round = 0; round < 2; round++) {
    await replay(2)
    await scene.pass(1_000)
  }
  expect(triesAt(2)).toHaveLength(6)
  expect(new Set(triesAt(2).map(({ id }) => id)).size).toBe(3)
})

test('takes the events that the webhook asks for, in the time that is asked for', async () => {
  scene.hook(2, { events: ['message.deleted'], active: false })
  for (const minute of [0, 1, 2, 3]) {
    await scene.happens(`${minute}`, { name: 'message.deleted' })
    await scene.happens('other')
    await scene.clock.advance(60_000)
  }
  scene.db.orm.update(webhooks).set({ active: true }).run()
  scene.start()
  const since = '2026-04-27T10:01:00Z'
  expect(await replay(2, { since, until: '2026-04-27T12:03:00+02:00' })).toEqual({ events: 2 })
  await scene.pass(1_000)
  expect(textsAt(2)).toEqual(['1', '2'])
})

test('of what failed alone, leaves what succeeded and was never tried', async () => {
  scene.side.endpoint.answer = ({ payload }) => (payload.message === 'bad' ? refused(500) : OK)
  await scene.happens('good')
  await scene.happens('bad')
  scene.start()
  await scene.pass(6 * 24 * 3_600_000, 400)
  expect(scene.statuses()).toEqual(['succeeded', 'dead'])
  scene.db.orm.update(webhooks).set({ active: true, failingSince: null }).run()
  scene.side.endpoint.answer = () => OK
  const before = scene.side.tries.length
  expect(await replay(1, { onlyFailed: true })).toEqual({ events: 1 })
  await scene.pass(1_000)
  expect(scene.texts().slice(before)).toEqual(['bad'])
  expect(await replay(1, { onlyFailed: true })).toEqual({ events: 0 })
})

test('test events are none of it', async () => {
  await scene.side.deliveries.test('id_1', 1)
  expect(await replay(1)).toEqual({ events: 0 })
})

test('goes batch by batch, and after a restart where it was, each event once', async () => {
  await history(700)
  scene.db.orm.delete(deliveries).run()
  scene.db.connection.run('DELETE FROM delivery_lanes')
  await replay(1)
  const repository = createReplayRepository(scene.db)
  const [first] = await repository.underWay()
  if (!first) throw new Error('no replay is under way')
  await repository.advance(first.replay, first.webhook, scene.clock.now())
  expect(scene.rows()).toHaveLength(200)
  // The process that was at it is gone.
  scene.start()
  await scene.pass(5_000, 60)
  expect(scene.db.orm.select().from(replays).all()).toEqual([])
  expect(textsAt(1)).toHaveLength(700)
  for (const room of [0, 1, 2]) {
    const told = ofRoom(textsAt(1), room)
    expect(told).toEqual(told.toSorted((one, other) => one - other))
  }
})

test('what happens meanwhile doesn’t wait for it', async () => {
  await history(400)
  scene.db.orm.delete(deliveries).run()
  scene.db.connection.run('DELETE FROM delivery_lanes')
  await replay(1)
  await scene.happens('now', { roomId: '!0:s' })
  scene.start({ concurrencyPerEndpoint: 4 })
  await scene.pass(5_000, 60)
  const texts = textsAt(1)
  expect(texts).toHaveLength(401)
  expect(texts.indexOf('now')).toBeLessThan(200)
})

describe('is refused', () => {
  test('with a time that is none, in the future, or the wrong way round', async () => {
    const bad = (message: string) => ({ code: 'bad_request', message: expect.stringContaining(message) })
    await expect(replay(1, { since: 'yesterday' })).rejects.toMatchObject(
      bad('since: expected a time in RFC'),
    )
    for (const since of ['2026-02-30T10:00:00Z', '2025-02-29T10:00:00Z', '2026-04-01T24:00:00Z'])
      await expect(replay(1, { since })).rejects.toMatchObject(bad('since: expected a time in RFC'))
    await expect(replay(1, { since: '2026-02-31' })).rejects.toMatchObject(
      bad('since: expected a time in RFC'),
    )
    await expect(replay(1, { until: 'x' })).rejects.toMatchObject(bad('until: expected a time in RFC 3339'))
    await expect(replay(1, { since: '2030-01-01T00:00:00Z' })).rejects.toMatchObject(bad('since: expected'))
    await expect(replay(1, { until: START })).rejects.toMatchObject(bad('until: expected a time after since'))
  })

  test('while one is under way, and while the webhook is switched off', async () => {
    await history(3)
    await replay(1)
    await expect(replay(1)).rejects.toMatchObject({ code: 'conflict' })
    scene.db.orm.delete(replays).run()
    scene.db.orm.update(webhooks).set({ active: false }).where(eq(webhooks.id, 1)).run()
    await expect(replay(1)).rejects.toMatchObject({ code: 'conflict' })
  })

  test('of somebody else’s webhook', async () => {
    const others = scene.side.replays.start('id_2', 1, { since: START })
    await expect(others).rejects.toMatchObject({ code: 'not_found' })
  })
})
