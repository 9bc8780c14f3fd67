/** The log of deliveries and redelivery over HTTP: statuses, bodies, and nothing of others. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { testHttp } from '../support/test-http.ts'
import { refused } from '../support/test-webhooks.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
let stranger: string
/** The delivery of a test event. */
let deliveryId: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
  stranger = `Bearer ${await app.newToken()}`
  const json = { url: 'https://hook.example', headers: { Authorization: 's3cret' } }
  await app.call('POST', '/api/v1/webhooks', { auth, json })
  deliveryId = String((await app.call('POST', '/api/v1/webhooks/1/test', { auth })).body.id)
})
afterAll(() => app.destroy())

const LOG = '/api/v1/webhooks/1/deliveries'
const REPLAY = '/api/v1/webhooks/1/replay'
const ROTATE = '/api/v1/webhooks/1/rotate-secret'

test('a test event: what the endpoint said, and it is in the log', async () => {
  app.webhookSide.endpoint.answer = () => refused(503)
  const answer = await app.call('POST', '/api/v1/webhooks/1/test', { auth })
  const attempt = {
    at: '2026-04-27T10:00:00Z',
    status: 503,
    error: 'HTTP 503',
    latency_ms: 7,
    response: 'no',
  }
  expect([answer.status, answer.body]).toEqual([
    200,
    { id: expect.stringMatching(/^evt_/), event: 'webhook.test', delivered: false, attempt },
  ])
  const logged = await app.call('GET', `${LOG}?limit=1&status=dead&event=webhook.test`, { auth })
  expect(logged.body).toMatchObject({
    deliveries: [{ id: answer.body.id, status: 'dead', attempts: [attempt] }],
  })
  const one = await app.call('GET', `/api/v1/deliveries/${answer.body.id}`, { auth })
  expect([one.status, one.body]).toEqual([200, (logged.body.deliveries as unknown[])[0] as never])
})

test('a retry is under way with the answer', async () => {
  const answer = await app.call('POST', `/api/v1/deliveries/${deliveryId}/retry`, { auth })
  expect([answer.status, answer.body]).toEqual([
    202,
    expect.objectContaining({ id: deliveryId, status: 'pending', next_attempt_at: '2026-04-27T10:00:00Z' }),
  ])
})

test('a replay says how many events that are', async () => {
  const answer = await app.call('POST', REPLAY, { auth, json: { since: '2026-04-01T00:00:00Z' } })
  expect([answer.status, answer.body]).toEqual([202, { events: 0 }])
})

test('a new secret is shown once', async () => {
  const answer = await app.call('POST', ROTATE, { auth, json: { overlap_s: 60 } })
  expect(answer.status).toBe(200)
  expect(answer.body).toMatchObject({
    id: 1,
    secret: expect.stringMatching(/^whsec_/),
    old_secret_until: '2026-04-27T10:01:00Z',
    header_names: ['Authorization'],
  })
  const list = await app.call('GET', '/api/v1/webhooks', { auth })
  const one = await app.call('GET', '/api/v1/webhooks/1', { auth })
  expect([one.status, one.body]).toEqual([200, JSON.parse(list.text)[0]])
  expect((await app.call('GET', '/api/v1/webhooks/99', { auth })).status).toBe(404)
  expect(list.text).not.toMatch(/whsec_|s3cret/)
  expect((await app.call('POST', ROTATE, { auth })).status).toBe(409)
  const atOnce = await app.call('POST', ROTATE, { auth, json: { overlap_s: 0 } })
  expect(atOnce.body.old_secret_until).toBeNull()
  expect((await app.call('POST', ROTATE, { auth })).body.old_secret_until).toBe('2026-04-28T10:00:00Z')
})

describe('400', () => {
  test.each([
    [`${LOG}?limit=0`, 'limit: expected'],
    [`${LOG}?limit=1001`, 'limit: expected a whole number from 1 to 1000'],
    [`${LOG}?status=lost`, 'status: expected one of pending, succeeded, dead'],
    [`${LOG}?event=lost`, 'event: "lost" is unknown'],
    ['/api/v1/webhooks/x/deliveries', 'id: expected'],
  ])('GET %s', async (path, says) => {
    expectError(await app.call('GET', path, { auth }), 400, 'bad_request', says)
  })

  test.each([
    [REPLAY, {}, 'Missing required field: since'],
    [REPLAY, { since: 5 }, 'since: expected text'],
    [REPLAY, { since: 'yesterday' }, 'since: expected a time in RFC 3339'],
    [REPLAY, { since: '2026-04-01T00:00:00Z', only_failed: 'x' }, 'only_failed: expected true or false'],
    [ROTATE, { overlap_s: -1 }, 'overlap_s: expected'],
    [ROTATE, { overlap_s: 2_592_001 }, 'overlap_s: expected'],
    [ROTATE, { overlap_s: '60' }, 'overlap_s: expected'],
    ['/api/v1/webhooks', { url: 'https://x.example', headers: [] }, 'headers: expected an object'],
    ['/api/v1/webhooks', { url: 'https://x.example', headers: { A: 1 } }, 'headers.A: expected text'],
    [
      '/api/v1/webhooks',
      { url: 'https://x.example', headers: JSON.parse('{"X-A": "1", "__proto__": "x"}') },
      'headers.__proto__: expected another name',
    ],
    ['/api/v1/webhooks', { url: 'https://x.example', headers: { Host: 'a' } }, 'headers.Host: expected'],
  ])('POST %s %j', async (path, json, says) => {
    expectError(await app.call('POST', path, { auth, json }), 400, 'bad_request', says)
  })
})

describe('404 for what is not there, or another identity’s', () => {
  const calls = () =>
    [
      ['GET', LOG],
      ['POST', '/api/v1/webhooks/1/test'],
      ['POST', REPLAY, { since: '2026-04-01T00:00:00Z' }],
      ['POST', ROTATE],
      ['GET', `/api/v1/deliveries/${deliveryId}`],
      ['POST', `/api/v1/deliveries/${deliveryId}/retry`],
    ] as const

  test('another identity’s', async () => {
    for (const [method, path, json] of calls())
      expectError(await app.call(method, path, { auth: stranger, json }), 404, 'not_found')
  })

  test('not there', async () => {
    for (const [method, path, json] of calls()) {
      const other = path.replace('webhooks/1', 'webhooks/9').replace(deliveryId, 'evt_x')
      expectError(await app.call(method, other, { auth, json }), 404, 'not_found')
    }
    expectError(await app.call('GET', `${LOG}?before=evt_x`, { auth }), 404, 'not_found', 'before: ')
  })

  test('without a token: 401', async () => {
    for (const [method, path, json] of calls())
      expectError(await app.call(method, path, { json }), 401, 'unauthorized')
  })
})

test('while the webhook is switched off: 409', async () => {
  await app.call('PUT', '/api/v1/webhooks/1', { auth, json: { active: false } })
  const json = { since: '2026-04-01T00:00:00Z' }
  expectError(await app.call('POST', REPLAY, { auth, json }), 409, 'conflict', 'switched off')
  const retry = await app.call('POST', `/api/v1/deliveries/${deliveryId}/retry`, { auth })
  expectError(retry, 409, 'conflict', 'switched off')
})
