/** /metrics of the program: its counts, who may see them, and that they name nobody. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { type Account, GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { type Samples, samplesOf } from '../support/metrics.ts'
import { waitFor } from '../support/wait-for.ts'
import { type WebhookReceiver, webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

const METRICS_TOKEN = 'the-token-of-the-scraper'

let gateway: GatewayProcess
let receiver: WebhookReceiver
let account: Account
let device: string
let friend: string

beforeAll(async () => {
  receiver = webhookReceiver()
  gateway = await spawnGateway({ env: { METRICS_TOKEN } })
  const client = new GatewayClient(gateway)
  ;({ account, device } = await client.linkedAccount())
  friend = (await client.newPhone({ echo: true })).number
  await account.api.post('/api/v1/webhooks', { url: receiver.url })
  for (const text of ['one', 'two', 'three']) await account.send(device, { contact: friend, text })
  await receiver.waitForCount(3)
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})

const scrape = (token: string | null = METRICS_TOKEN) =>
  fetch(`${gateway.url}/metrics`, token === null ? {} : { headers: { authorization: `Bearer ${token}` } })

/** Readings of the queues are cached for a while, so recent events may be missing. */
const scraped = (isThere: (samples: Samples) => boolean, what: string) =>
  waitFor(
    async () => {
      const samples = samplesOf(await (await scrape()).text())
      return isThere(samples) && samples
    },
    { what, deadlineMs: 20_000 },
  )

test('counts what was sent, received and delivered, in all and by device', async () => {
  const [listed] = await account.devices()
  const own = { device: listed?.id ?? '', platform: 'wa' }
  const samples = await scraped(
    all =>
      all.value('meshgate_device_messages_total', { ...own, outcome: 'sent' }) === 3 &&
      all.value('meshgate_device_deliveries_total', { ...own, outcome: 'delivered' }) === 3 &&
      // The lag is sampled a few times a second.
      (all.value('meshgate_event_loop_lag_seconds_count') ?? 0) > 0,
    'three messages each way',
  )
  const value = samples.value
  expect(value('meshgate_device_state', { ...own, state: 'connected' })).toBe(1)
  expect(value('meshgate_device_queue_messages', own)).toBe(0)
  expect(value('meshgate_devices', { platform: 'wa', state: 'connected' })).toBe(1)
  expect(value('meshgate_send_attempts_total', { platform: 'wa', outcome: 'submitted' })).toBe(3)
  expect(value('meshgate_message_outcomes_total', { platform: 'wa', outcome: 'sent' })).toBe(3)
  expect(value('meshgate_message_submit_seconds_count', { platform: 'wa' })).toBe(3)
  expect(value('meshgate_message_sent_seconds_count', { platform: 'wa' })).toBe(3)
  expect(value('meshgate_delivery_attempts_total', { outcome: 'succeeded', status: '2xx' })).toBe(3)
  expect(value('meshgate_delivery_seconds_count')).toBe(3)
  expect(value('meshgate_received_messages_total')).toBe(3)
  expect(value('meshgate_receive_lag_seconds_count', { source: 'transaction' })).toBeGreaterThan(0)
  expect(value('meshgate_queue_messages')).toBe(0)
  expect(value('meshgate_deliveries_pending')).toBe(0)
  expect(value('meshgate_webhooks', { state: 'active' })).toBe(1)
  expect(value('meshgate_check_ok', { check: 'database' })).toBe(1)
  const sends = { method: 'POST', route: '/api/v1/devices/:device_id/message', status: '200' }
  expect(value('meshgate_http_request_seconds_count', sends)).toBe(3)
  expect(value('meshgate_commit_seconds_count')).toBeGreaterThan(3)
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  expect(value('meshgate_database_bytes', { file: 'database' })).toBeGreaterThanOrEqual(4096)
})

test('names nobody: neither a number, nor a text, nor a secret', async () => {
  const text = await (await scrape()).text()
  for (const secret of [device, friend, account.token, gateway.clientSecret, METRICS_TOKEN])
    expect(text).not.toContain(secret)
})

test('is for whoever has METRICS_TOKEN', async () => {
  for (const token of [null, 'wrong', account.token]) expect((await scrape(token)).status).toBe(401)
  const answer = await scrape()
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
})

test('a path that nobody knows makes no series of its own', async () => {
  for (const path of ['/a', '/b', '/c']) await fetch(gateway.url + path)
  const samples = await scraped(
    all =>
      all.value('meshgate_http_request_seconds_count', { method: 'GET', route: 'none', status: '404' }) === 3,
    'three requests without a route',
  )
  expect(samples.text).not.toContain('"/b"')
})
