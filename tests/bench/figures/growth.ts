/** Figure 8: the cost of a hundredfold of data: three databases, made by copying a conversation. */
import { Database } from 'bun:sqlite'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { basic, bearer, type JsonClient, jsonClient } from '../../support/json-client.ts'
import { enlarge, type LargeSizes } from '../../support/large-database.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'
import { runTask } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import {
  assertNoneRefused,
  createQuietPhones,
  DEVICE,
  type LinkedGateway,
  startGateway,
  startLinkedGateway,
} from '../gateway.ts'
import type { PhonesTask, StageResult } from '../processes/phones-and-endpoint.ts'
import type { SendsResult, SendsTask } from '../processes/sends.ts'
import type { WaitsResult, WaitsTask } from '../processes/waits.ts'
import { median, percentile } from '../statistics.ts'
import { processorUs } from '../usage.ts'

const SIZES: readonly LargeSizes[] = [
  { messages: 10_000, identities: 100, chats: 500, contacts: 50 },
  { messages: 100_000, identities: 1_000, chats: 5_000, contacts: 500 },
  { messages: 1_000_000, identities: 10_000, chats: 50_000, contacts: 5_000 },
]
const QUICK_SIZES = SIZES.slice(0, 2)
const MOST_RATIO = 1.5
const MOST_TURN_MS = 50
/** Below this, in milliseconds, a ratio measures the machine, not the program. */
const NOISE_MS = 1
const PHONES = 20
const CONTACTS = 16
const CONNECTIONS = 64
/** Least seconds that phones write: a shorter stage mostly measures its own start. */
const LEAST_SECONDS = 4
const CALLS = 15
/** The default of METRICS_DEVICES. */
const DEVICES_WITH_SERIES = 1_000
/** Length of the observation after a start, and of each load. */
const LOOK_MS = 10_000

/** Measurements at one size, by name; lower is better. */
type Measures = Map<string, Measure>
interface Measure {
  value: number
  unit: 'ms' | 'us'
  /** A longest wait, so the limit for a turn of the event loop applies. */
  isTurn?: boolean
  /** Entries of an answer that grows with the data; the cost counts per entry. */
  entries?: number
}

export const growth: Figure = { number: 8, title: 'growth', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  using template = tempDir()
  const token = await prepare(program, template)
  const measured: Measures[] = []
  const sizes = quick ? QUICK_SIZES : SIZES
  for (const size of sizes) {
    using folder = tempDir()
    cpSync(template.path, folder.path, { recursive: true })
    const startedAt = performance.now()
    using database = new Database(join(folder.path, 'data', 'meshgate.db'))
    enlarge(database, size)
    database.close()
    tell(`${whole(size.messages)} messages made in ${whole(performance.now() - startedAt)} ms`)
    const measures = await measure(program, folder.path, token, size, quick ? 1_000 : LOOK_MS)
    for (const [name, { value, unit }] of measures) tell(`  ${name}: ${value.toFixed(1)} ${unit}`)
    measured.push(measures)
  }
  const [smallest, largest] = [measured[0], measured.at(-1)]
  if (!smallest || !largest) throw new Error('a size is missing')
  return [...largest.keys()].map(name => rowOf(name, measured))
}

/** Makes one identity with a linked phone, a chat, and a message each way. @returns its token */
async function prepare(program: Bench['program'], folder: TempDir): Promise<string> {
  await using gateway = await startLinkedGateway(program, { SEND_INTERVAL_MS: '0' }, folder.path)
  await using receiver = webhookReceiver()
  await gateway.api.post('/api/v1/webhooks', { url: receiver.url })
  const [contact = ''] = await createQuietPhones(gateway, PHONES)
  const sent = await gateway.api.post(gateway.sendPath, { platform: 'wa', contact, text: 'hello' })
  if (sent.status !== 200) throw new Malfunction(`not accepted: ${sent.status}`)
  await waitFor(
    async () => {
      const { body } = await gateway.api.get<{ status: string }[]>('/api/v1/messages?limit=1')
      return body[0]?.status === 'delivered'
    },
    { what: 'a message delivered', deadlineMs: 20_000 },
  )
  await jsonClient(gateway.url).post(`/sandbox/api/phones/${contact}/messages`, { to: DEVICE, text: 'hi' })
  await receiver.waitForCount(1)
  await gateway.api.put('/api/v1/webhooks/1', { active: false })
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')
  return gateway.token
}

async function measure(
  program: Bench['program'],
  directory: string,
  token: string,
  size: LargeSizes,
  lookMs: number,
): Promise<Measures> {
  const measures: Measures = new Map()
  const startedAt = performance.now()
  await using gateway = await startGateway(
    program,
    { SEND_INTERVAL_MS: '8000', SEND_BURST: '1000' },
    directory,
  )
  const open = jsonClient(gateway.url)
  await waitFor(async () => (await open.get('/ready')).status === 200, { what: 'ready', deadlineMs: 60_000 })
  measures.set('start to ready', { value: performance.now() - startedAt, unit: 'ms' })
  const waits = (elapsedMs: number) =>
    runTask<WaitsTask, WaitsResult>(import.meta.resolve('../processes/waits.ts'), {
      url: gateway.url,
      elapsedMs,
    })
  const afterStart = await waits(lookMs)
  measures.set('longest wait after the start', { value: afterStart.longestMs, unit: 'ms', isTurn: true })

  const [lists, beside] = await Promise.all([timeLists(gateway, token, size), waits(lookMs / 2)])
  for (const [name, value] of lists) measures.set(name, value)
  measures.set('longest wait beside lists', { value: beside.longestMs, unit: 'ms', isTurn: true })

  const phones = Array.from({ length: PHONES }, (_none, index) => String(491_520_000_000 + index))
  const [incoming] = await runTask<PhonesTask, StageResult[]>(
    import.meta.resolve('../processes/phones-and-endpoint.ts'),
    {
      url: gateway.url,
      token,
      phones,
      to: DEVICE,
      stages: [{ perSecond: 200, seconds: Math.max(LEAST_SECONDS, lookMs / 2_000) }],
    },
  )
  if (!incoming || incoming.received !== incoming.sent) throw new Malfunction('messages are missing')
  measures.set('phone to webhook, p50 at 200/s', { value: percentile(incoming.tookMs, 50), unit: 'ms' })
  measures.set('phone to webhook, p99 at 200/s', { value: percentile(incoming.tookMs, 99), unit: 'ms' })

  const usedBefore = processorUs(gateway.pid)
  const sends = await runTask<SendsTask, SendsResult>(import.meta.resolve('../processes/sends.ts'), {
    url: gateway.url,
    token,
    path: `/api/v1/devices/${DEVICE}/message`,
    connections: CONNECTIONS,
    contacts: Array.from({ length: CONTACTS }, (_none, index) => String(491_510_000_000 + index)),
    until: { elapsedMs: lookMs / 2 },
  })
  assertNoneRefused(sends.refused)
  measures.set('accepted send, time at 64 connections', { value: 1_000_000 / sends.perSecond, unit: 'us' })
  measures.set('accepted send, p99', { value: sends.p99Ms, unit: 'ms' })
  const used = (processorUs(gateway.pid) - usedBefore) / sends.accepted
  measures.set('accepted send, processor', { value: used, unit: 'us' })
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')
  return measures
}

async function timeLists(
  gateway: Pick<LinkedGateway, 'url' | 'clientId' | 'clientSecret'>,
  token: string,
  { identities, contacts = 0 }: LargeSizes,
): Promise<Measures> {
  const api = jsonClient(gateway.url, bearer(token))
  const admin = jsonClient(gateway.url, basic(gateway.clientId, gateway.clientSecret))
  const device = `/api/v1/devices/${DEVICE}`
  const calls: [name: string, client: JsonClient, path: string, entries?: number | 'all'][] = [
    ['GET /messages', api, '/api/v1/messages'],
    ['GET /events, oldest', api, '/api/v1/events'],
    ['GET /events of a rare kind', api, '/api/v1/events?events=device.connected,webhook.disabled'],
    // The bridge always answers with the whole address book.
    ['GET /contacts', api, `${device}/contacts?limit=50`, contacts],
    ['GET /contacts?query', api, `${device}/contacts?query=Contact 49&limit=50`, contacts],
    ['GET /groups', api, `${device}/groups`, 'all'],
    ['GET /devices', api, '/api/v1/devices'],
    ['GET /deliveries', api, '/api/v1/webhooks/1/deliveries'],
    ['GET /deliveries of a rare kind', api, '/api/v1/webhooks/1/deliveries?event=device.connected'],
    ['GET /tokens', admin, '/api/v1/tokens', 'all'],
    ['GET /tokens, a page', admin, '/api/v1/tokens?limit=100'],
    ['GET /metrics', admin, '/metrics', Math.min(identities, DEVICES_WITH_SERIES)],
  ]
  const measures: Measures = new Map()
  for (const [name, client, path, counted] of calls) {
    const tookMs: number[] = []
    let entries = counted === 'all' ? 1 : counted
    for (let call = 0; call < CALLS; call++) {
      const askedAt = performance.now()
      const { status, body } = await client.get<unknown[]>(path)
      tookMs.push(performance.now() - askedAt)
      if (status !== 200) throw new Malfunction(`${path} was answered ${status}: ${JSON.stringify(body)}`)
      if (counted === 'all') entries = Math.max(1, body.length)
    }
    measures.set(name, { value: median(tookMs), unit: 'ms', ...(entries !== undefined && { entries }) })
  }
  return measures
}

function rowOf(name: string, measured: readonly Measures[]): Row {
  const found = measured.map(measures => measures.get(name)).filter(measure => measure !== undefined)
  const { unit = 'ms', isTurn = false, entries } = found[0] ?? {}
  const least = unit === 'ms' ? NOISE_MS : 0
  const costs = found.map(({ value, entries = 1 }) => Math.max(least, value) / (entries === 1 ? 1 : entries))
  const ratio = (costs.at(-1) ?? Number.NaN) / (costs[0] ?? Number.NaN)
  const longest = Math.max(...found.map(({ value }) => value))
  const values = found.map(({ value }) => value.toFixed(1)).join(' / ')
  const perEntry = entries === undefined ? '' : ' an entry'
  return isTurn
    ? {
        figure: `8 ${name}`,
        measured: `${values} ${unit}`,
        limit: `< ${MOST_TURN_MS} ms`,
        met: longest < MOST_TURN_MS,
      }
    : {
        figure: `8 ${name}`,
        measured: `${values} ${unit}: ${ratio.toFixed(2)} of the smallest${perEntry}`,
        limit: `<= ${MOST_RATIO}`,
        met: ratio <= MOST_RATIO,
      }
}
