/**
 * Metrics that are read off when somebody asks: queues, devices, storage, the process. Reading
 * takes longer with longer queues (100 ms for 200,000 waiting messages), in pieces between which
 * others have their turn. A reading serves until it has taken 2 % of the time since.
 */
import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import type { Gauge, Registry } from 'prom-client'
import type { Clock } from '../../../lib/clock.ts'
import { SingleFlight } from '../../../lib/single-flight.ts'
import { TurnBudget } from '../../../lib/turn-budget.ts'
import type { DeviceTallies } from './device-tallies.ts'
import { instrumentsOf } from './instruments.ts'
import type { ObservationRepository, Waiting } from './repository.ts'

export interface GaugesOptions {
  repository: ObservationRepository
  tallies: DeviceTallies
  /** How many devices, and how many webhooks with something waiting, get series; 0: none. */
  maxDevices: number
  version: string
  databaseFile: string
  /** Tells which parts are well, by name. */
  checks(): ReadonlyMap<string, boolean> | Promise<ReadonlyMap<string, boolean>>
  /** State of the /sync loops; null where events are pushed. */
  sync(): { loops: number; failing: number; oldestSyncAt: number | null } | null
  /** How often each bridge program of ours was started again. */
  bridgeRestarts(): ReadonlyMap<string, number>
  clock: Clock
}

/** Series of single devices and webhooks. */
const SERIES = {
  webhookPending: ['meshgate_webhook_pending', 'gauge', 'Events that wait for one webhook'],
  webhookAge: ['meshgate_webhook_oldest_seconds', 'gauge', 'Age of the oldest of them'],
  deviceState: ['meshgate_device_state', 'gauge', 'Always 1; the state is a label'],
  deviceQueue: ['meshgate_device_queue_messages', 'gauge', 'Messages that wait for a device'],
  deviceAge: ['meshgate_device_queue_oldest_seconds', 'gauge', 'Age of the oldest of them'],
  deviceMessages: ['meshgate_device_messages_total', 'counter', 'Messages of a device by outcome'],
  deviceSent: ['meshgate_device_sent_seconds_total', 'counter', 'Sum of the times from accepted to sent'],
  deviceDeliveries: [
    'meshgate_device_deliveries_total',
    'counter',
    'Deliveries of events of a device by outcome',
  ],
  deviceDelivered: [
    'meshgate_device_delivered_seconds_total',
    'counter',
    'Sum of the times from stored to delivered',
  ],
} satisfies Record<string, SeriesKind>

/** A reading serves for this long at least, in milliseconds. */
const MIN_AGE_MS = 2_000
/** And for as many times what it cost. */
const COST_FACTOR = 50

type Labels = Record<string, string | number>

/**
 * @returns reads everything off into the registry, unless the last reading still serves, and gives
 * the text of what isn't in the registry
 */
export function createGauges(registry: Registry, options: GaugesOptions): () => Promise<string> {
  const { repository, tallies, maxDevices, clock } = options
  const { gauge, counter } = instrumentsOf(registry)

  const build = gauge('meshgate_build_info{version}', 'Always 1; the version is a label')
  const check = gauge('meshgate_check_ok{check}', 'Whether a part is well, as /ready says')
  const devices = gauge('meshgate_devices{platform,state}', 'Linked devices')
  const queue = gauge('meshgate_queue_messages', 'Messages not yet handed to the homeserver')
  const queueAge = gauge('meshgate_queue_oldest_seconds', 'Age of the oldest of them, 0 without any')
  const pending = gauge('meshgate_deliveries_pending', 'Events not yet delivered')
  const pendingAge = gauge('meshgate_deliveries_oldest_seconds', 'Age of the oldest of them, 0 without any')
  const webhooks = gauge('meshgate_webhooks{state}', 'Webhooks')
  const syncLoops = gauge('meshgate_sync_loops{state}', 'Identities that fetch their events by /sync')
  const syncAge = gauge(
    'meshgate_sync_age_seconds',
    'Since the identity furthest behind heard from the homeserver',
  )
  const restarts = counter(
    'meshgate_bridge_restarts_total{platform}',
    'Starts of a bridge program after it had ended',
  )
  const database = gauge('meshgate_database_bytes{file}', 'Size of the database and of its log')
  const diskFree = gauge('meshgate_disk_free_bytes', 'Free space where DATA_DIR is')
  const readingSeconds = gauge('meshgate_reading_seconds', 'Time that the last reading of the queues took')
  const withoutSeries = gauge('meshgate_devices_without_series', 'Devices beyond METRICS_DEVICES')

  const startTime = gauge('process_start_time_seconds', 'When the process started, since the Unix epoch')
  const cpu = counter('process_cpu_seconds_total', 'Time that the process was computing')
  const resident = gauge('process_resident_memory_bytes', 'Memory of the process')
  const heap = gauge('meshgate_heap_bytes', 'Memory of JavaScript objects, in use')
  startTime.set(Math.round(Date.now() / 1000 - process.uptime()))
  build.set({ version: options.version }, 1)

  async function readQueues(): Promise<void> {
    const outbox = await repository.outbox()
    const deliveries = await repository.deliveries()
    setTotal(queue, queueAge, outbox)
    setTotal(pending, pendingAge, deliveries)
    const text = new SeriesText(Object.values(SERIES))
    await readDevices(outbox, text)
    for (const [webhook, { count, since }] of [...deliveries].slice(0, maxDevices)) {
      const labels = labelsText({ webhook })
      text.add(SERIES.webhookPending, labels, count)
      text.add(SERIES.webhookAge, labels, ageS(since))
    }
    series = text.toString()
    const counts = await repository.webhookCounts()
    setCounts(
      webhooks,
      counts.map(({ active, count }) => [{ state: active ? 'active' : 'off' }, count]),
    )
  }

  async function readDevices(outbox: ReadonlyMap<string, Waiting>, text: SeriesText): Promise<void> {
    const counts = await repository.deviceCounts()
    setCounts(
      devices,
      counts.map(({ count, ...labels }) => [labels, count]),
    )
    const listed = await repository.devices(maxDevices)
    withoutSeries.set(counts.reduce((sum, { count }) => sum + count, 0) - listed.length)
    tallies.keepOnly(new Map(listed.map(device => [device.id, device])))
    const turn = new TurnBudget()
    for (const { id: device, platform, state } of listed) {
      const labels = labelsText({ device, platform })
      const waiting = outbox.get(device)
      const tally = tallies.of(device)
      text.add(SERIES.deviceState, `${labels},state="${state}"`, 1)
      text.add(SERIES.deviceQueue, labels, waiting?.count ?? 0)
      text.add(SERIES.deviceAge, labels, waiting ? ageS(waiting.since) : 0)
      text.add(SERIES.deviceMessages, `${labels},outcome="sent"`, tally.sent)
      text.add(SERIES.deviceMessages, `${labels},outcome="failed"`, tally.failed)
      text.add(SERIES.deviceSent, labels, tally.sentMs / 1000)
      text.add(SERIES.deviceDeliveries, `${labels},outcome="delivered"`, tally.delivered)
      text.add(SERIES.deviceDeliveries, `${labels},outcome="failed"`, tally.deliveryFailures)
      text.add(SERIES.deviceDelivered, labels, tally.deliveredMs / 1000)
      if (turn.isSpent) await turn.pause()
    }
  }

  async function readParts(): Promise<void> {
    setCounts(
      check,
      [...(await options.checks())].map(([name, isOk]) => [{ check: name }, isOk ? 1 : 0]),
    )
    restarts.reset()
    for (const [platform, count] of options.bridgeRestarts()) restarts.inc({ platform }, count)
    const sync = options.sync()
    if (!sync) return
    syncLoops.set({ state: 'working' }, sync.loops - sync.failing)
    syncLoops.set({ state: 'failing' }, sync.failing)
    if (sync.oldestSyncAt !== null) syncAge.set(ageS(sync.oldestSyncAt))
  }

  async function readMachine(): Promise<void> {
    const { databaseFile } = options
    database.set({ file: 'database' }, sizeOf(databaseFile))
    database.set({ file: 'log' }, sizeOf(`${databaseFile}-wal`))
    const { bavail, bsize } = await statfs(databaseFile)
    diskFree.set(bavail * bsize)
    const { user, system } = process.cpuUsage()
    cpu.reset()
    cpu.inc((user + system) / 1e6)
    const { rss, heapUsed } = process.memoryUsage()
    resident.set(rss)
    heap.set(heapUsed)
  }

  function setTotal(count: Gauge, age: Gauge, waiting: ReadonlyMap<string, Waiting>): void {
    let sum = 0
    let oldest = Number.POSITIVE_INFINITY
    for (const { count: some, since } of waiting.values()) {
      sum += some
      oldest = Math.min(oldest, since)
    }
    count.set(sum)
    age.set(sum === 0 ? 0 : ageS(oldest))
  }

  function ageS(since: number): number {
    return Math.max(0, clock.now() - since) / 1000
  }

  let servesUntil = 0
  let series = ''
  const reading = new SingleFlight()

  async function read(): Promise<void> {
    await readParts()
    await readMachine()
    if (clock.steady() < servesUntil) return
    const startedAt = performance.now()
    await readQueues()
    const tookMs = performance.now() - startedAt
    readingSeconds.set(tookMs / 1000)
    servesUntil = clock.steady() + Math.max(MIN_AGE_MS, tookMs * COST_FACTOR)
  }

  return async () => {
    await reading.run('all', read)
    return series
  }
}

/** Removes the series of others. */
function setCounts(gauge: Gauge, counts: readonly (readonly [Labels, number])[]): void {
  gauge.reset()
  for (const [labels, count] of counts) gauge.set(labels, count)
}

/** 0 while there is no such file. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

type SeriesKind = [name: string, type: 'gauge' | 'counter', help: string]

/**
 * Series of single devices and webhooks, as Prometheus's text. There may be thousands, all read
 * anew each time: the registry would hash the labels of each, which costs ten times as much.
 */
class SeriesText {
  private readonly lines: ReadonlyMap<SeriesKind, string[]>

  constructor(kinds: readonly SeriesKind[]) {
    this.lines = new Map(
      kinds.map(kind => [kind, [`# HELP ${kind[0]} ${kind[2]}`, `# TYPE ${kind[0]} ${kind[1]}`]]),
    )
  }

  /** @param labels see `labelsText` */
  add(kind: SeriesKind, labels: string, value: number): void {
    this.lines.get(kind)?.push(`${kind[0]}{${labels}} ${value}`)
  }

  /** @returns all, a kind after the other, each with an empty line before it */
  toString(): string {
    return [...this.lines.values()].map(lines => `\n${lines.join('\n')}\n`).join('')
  }
}

/** @param labels whose values need no escaping, as ids and names of platforms and states don't */
function labelsText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')
}
