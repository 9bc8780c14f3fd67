/** Endpoints that fail: since when, when they are switched off, and who gets an event about it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { events } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { writeHealth } from '../../../src/modules/webhooks/outcome-repository.ts'
import type { WebhookAnswer } from '../../../src/outbound/webhook-client.ts'
import { OK, refused } from '../../support/test-webhooks.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

const HOUR = 3_600_000
const DAY = 24 * HOUR
const state = async (id = 1) => (await scene.side.webhooks.list('id_1')).find(webhook => webhook.id === id)
const BEGIN = '2026-04-27T10:00:00Z'

test('an endpoint that fails shows since when and why; one success clears that', async () => {
  scene.start()
  scene.side.endpoint.answer = () => (scene.side.tries.length === 1 ? refused(500) : OK)
  expect(await state()).toMatchObject({ failing_since: null, last_success_at: null, last_error: null })
  await scene.happens('1')
  await scene.idle()
  expect(await state()).toMatchObject({
    active: true,
    failing_since: BEGIN,
    last_success_at: null,
    last_error: { at: BEGIN, error: 'HTTP 500' },
  })
  await scene.pass(10_000)
  const healed = await state()
  expect(healed).toMatchObject({ failing_since: null, last_error: { error: 'HTTP 500' } })
  expect(healed?.last_success_at).toMatch(/^2026-04-27T10:00:0/)
})

test('a success is written down once a minute at most', async () => {
  scene.start()
  const told: (string | null | undefined)[] = []
  for (let index = 0; index < 4; index++) {
    await scene.happens(`${index}`)
    await scene.pass(25_000)
    told.push((await state())?.last_success_at)
  }
  expect(new Set(told).size).toBe(2)
})

test('when every try has failed for days it is switched off, and those who want to know are told', async () => {
  scene.hook(2, { events: ['webhook.disabled'] })
  scene.start({ disableAfterMs: 2 * DAY })
  scene.side.endpoint.answer = ({ url }) => (url.endsWith('/1') ? refused(503) : OK)
  await scene.happens('1')
  await scene.pass(1.9 * DAY, 400)
  expect(await state()).toMatchObject({ active: true, failing_since: BEGIN })
  await scene.pass(2 * DAY, 400)
  expect(await state()).toMatchObject({
    active: false,
    failing_since: BEGIN,
    disabled_reason: 'every try has failed for 2 days',
  })
  expect(scene.side.tries.filter(({ url }) => url.endsWith('/2'))).toMatchObject([
    {
      payload: {
        event: 'webhook.disabled',
        webhook_id: 1,
        url: 'http://hook/1',
        reason: 'every try has failed for 2 days',
        failing_since: BEGIN,
      },
    },
  ])
  // Readers of the feed see this.
  const stored = scene.db.orm.select().from(events).all()
  expect(stored.map(({ name }) => name)).toEqual(['message.received', 'webhook.disabled'])
})

test.each([
  [60_000, '1 minute'],
  [90_000, '90 seconds'],
  [36 * HOUR, '36 hours'],
])('a limit of %d ms reads %s', async (disableAfterMs, words) => {
  const failed = { kind: 'failed', error: 'HTTP 500', isGone: false, disableAfterMs } as const
  const webhook = { identityId: 'id_1', id: 1, url: 'http://hook/1' }
  const write = (now: number) => scene.db.write(tx => writeHealth(tx, webhook, failed, now))
  expect(await write(0)).toBeNull()
  expect(await write(disableAfterMs)).toBe(`every try has failed for ${words}`)
})

test('a success in between begins the count anew', async () => {
  scene.start({ disableAfterMs: 2 * DAY })
  scene.side.endpoint.answer = ({ payload }) => (payload.message === 'good' ? OK : refused(500))
  await scene.happens('bad')
  await scene.pass(1.5 * DAY, 200)
  await scene.happens('good', { roomId: '!other:s' })
  await scene.pass(1.5 * DAY, 200)
  expect(await state()).toMatchObject({ active: true })
})

test('410 switches it off at once', async () => {
  scene.hook(2, { events: ['*'] })
  scene.start()
  scene.side.endpoint.answer = ({ url }) => (url.endsWith('/1') ? refused(410) : OK)
  await scene.happens('1')
  await scene.pass(10)
  expect(await state()).toMatchObject({ active: false, disabled_reason: 'the endpoint answered 410 Gone' })
  const told = scene.side.tries.filter(({ url }) => url.endsWith('/2')).map(({ payload }) => payload.event)
  expect(told.sort()).toEqual(['message.received', 'webhook.disabled'])
})

test('switching it on again delivers what waited, at once and in order, and forgets that it failed', async () => {
  scene.start({ disableAfterMs: DAY })
  scene.side.endpoint.answer = () => refused(500)
  for (const text of ['1', '2', '3']) await scene.happens(text)
  await scene.pass(2 * DAY, 400)
  expect(await state()).toMatchObject({ active: false })
  await scene.happens('while it was off')
  scene.side.endpoint.answer = () => OK
  const before = scene.side.tries.length
  expect(await scene.side.webhooks.update('id_1', 1, { active: true })).toMatchObject({
    active: true,
    failing_since: null,
    disabled_reason: null,
    last_error: null,
  })
  await scene.pass(1_000)
  expect(scene.texts().slice(before).sort()).toEqual(['1', '2', '3'])
  expect(scene.statuses()).toEqual(['succeeded', 'succeeded', 'succeeded'])
})

describe('another URL', () => {
  test('begins anew: it is tried at once, and has its own days until it is switched off', async () => {
    scene.start({ disableAfterMs: 2 * DAY })
    scene.side.endpoint.answer = () => refused(503)
    await scene.happens('1')
    await scene.pass(1.9 * DAY, 400)
    const before = scene.side.tries.length
    expect(await scene.side.webhooks.update('id_1', 1, { url: 'http://hook/new' })).toMatchObject({
      active: true,
      failing_since: null,
      last_error: null,
    })
    await scene.pass(1_000)
    expect(scene.side.tries.slice(before).map(({ url }) => url)).toEqual(['http://hook/new'])
    await scene.pass(DAY, 400)
    expect(await state()).toMatchObject({ active: true, disabled_reason: null })
  })

  test('is not answerable for a try at the one before that is under way', async () => {
    scene.start()
    const gate = Promise.withResolvers<WebhookAnswer>()
    scene.side.endpoint.answer = ({ url }) => (url === 'http://hook/new' ? OK : gate.promise)
    await scene.happens('1')
    await scene.idle()
    await scene.side.webhooks.update('id_1', 1, { url: 'http://hook/new' })
    gate.resolve(refused(410))
    await scene.pass(1_000)
    expect(await state()).toMatchObject({ active: true, disabled_reason: null, last_error: null })
    expect(scene.side.tries.map(({ url }) => url)).toEqual(['http://hook/1', 'http://hook/new'])
    expect(scene.statuses()).toEqual(['succeeded'])
  })
})

test('what goes wrong on our side is not the endpoint’s fault', async () => {
  scene.start({
    disableAfterMs: DAY,
    payloads: async () => {
      throw new GatewayError('homeserver_unavailable', 'the file cannot be fetched')
    },
  })
  await scene.happens('1')
  await scene.pass(6 * DAY, 400)
  expect(scene.statuses()).toEqual(['dead'])
  expect(await state()).toMatchObject({ active: true, failing_since: null, last_error: null })
})

test('endpoints that hang leave room for others, however many they are', async () => {
  const gate = Promise.withResolvers<typeof OK>()
  for (let room = 0; room < 6; room++) scene.event('slow', { roomId: `!${room}:s` })
  scene.side.endpoint.answer = () => refused(null)
  scene.start({ concurrencyPerEndpoint: 4 })
  await scene.idle()
  scene.side.endpoint.answer = () => gate.promise
  const before = scene.side.tries.length
  await scene.pass(20_000)
  // It failed, so it has two tries under way at most until one succeeds.
  expect(scene.side.tries.length - before).toBe(2)
  gate.resolve(OK)
  await scene.pass(20_000)
  expect(new Set(scene.statuses())).toEqual(new Set(['succeeded']))
})
