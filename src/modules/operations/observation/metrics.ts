/**
 * The metrics that are counted as things happen. Each call adds to a counter or a histogram, half a microsecond, and nothing else; what is only
 * read off when somebody asks (queues, devices, disk) is in gauges.ts. docs/operations.md describes every metric; a test compares.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observer } from '../../../domain/observation.ts'
import { createDeviceTallies, type DeviceTallies } from './device-tallies.ts'
import { createGauges, type GaugesOptions } from './gauges.ts'

/** In seconds: from a local endpoint to what waits for its slot in a paced queue, or for a device that is away. */
const LATENCY_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400,
]
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60]
const COMMIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const COMMIT_SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
const LAG_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export interface Metrics {
  observer: Observer
  /** A timer of the process fired so late. */
  loopLagged(ms: number): void
  /** @returns a function that gives every metric in Prometheus's text format */
  expose(parts: Omit<GaugesOptions, 'tallies'>): () => Promise<string>
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const tallies = createDeviceTallies()
  return {
    ...countInto(registry, tallies),
    expose(parts) {
      const gauges = createGauges(registry, { ...parts, tallies })
      return async () => {
        const series = await gauges.refresh()
        return `${await registry.metrics()}${series}`
      }
    },
  }
}

function countInto(
  registry: Registry,
  tallies: DeviceTallies,
): { observer: Observer; loopLagged(ms: number): void } {
  const registers = [registry]
  const requestSeconds = new Histogram({
    name: 'meshgate_http_request_seconds',
    help: 'Time to answer a request, by route template and status',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const refusedRequests = new Counter({
    name: 'meshgate_requests_refused_total',
    help: 'Requests answered 429, by what there was too much of',
    labelNames: ['reason'],
    registers,
  })
  const authFailures = new Counter({
    name: 'meshgate_auth_failures_total',
    help: 'Wrong secrets, by what they were for',
    labelNames: ['kind'],
    registers,
  })
  const sendAttempts = new Counter({
    name: 'meshgate_send_attempts_total',
    help: 'Tries at handing a message to the homeserver',
    labelNames: ['platform', 'outcome'],
    registers,
  })
  const sendAttemptSeconds = new Histogram({
    name: 'meshgate_send_attempt_seconds',
    help: 'Time that one try at sending takes',
    labelNames: ['platform'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const submitSeconds = new Histogram({
    name: 'meshgate_message_submit_seconds',
    help: 'From accepting a message to the homeserver having it',
    labelNames: ['platform'],
    buckets: LATENCY_BUCKETS,
    registers,
  })
  const sentSeconds = new Histogram({
    name: 'meshgate_message_sent_seconds',
    help: 'From accepting a message to its bridge saying that it was sent',
    labelNames: ['platform'],
    buckets: LATENCY_BUCKETS,
    registers,
  })
  const messageOutcomes = new Counter({
    name: 'meshgate_message_outcomes_total',
    help: 'Messages of which it became known whether they were sent, and those taken back',
    labelNames: ['platform', 'outcome'],
    registers,
  })
  const deliveryAttempts = new Counter({
    name: 'meshgate_delivery_attempts_total',
    help: 'Tries at delivering an event to a webhook, by outcome and class of the HTTP status',
    labelNames: ['outcome', 'status'],
    registers,
  })
  const deliveryAttemptSeconds = new Histogram({
    name: 'meshgate_delivery_attempt_seconds',
    help: 'Time that one try at delivering takes',
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const deliverySeconds = new Histogram({
    name: 'meshgate_delivery_seconds',
    help: 'From storing an event to its webhook having it',
    buckets: LATENCY_BUCKETS,
    registers,
  })
  const batches = new Counter({
    name: 'meshgate_batches_total',
    help: 'Transactions and /sync responses of the homeserver',
    labelNames: ['source', 'outcome'],
    registers,
  })
  const batchSeconds = new Histogram({
    name: 'meshgate_batch_seconds',
    help: 'Time to understand and store a batch',
    labelNames: ['source'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const receiveLag = new Histogram({
    name: 'meshgate_receive_lag_seconds',
    help: "From the homeserver's stamp of a batch's newest event to the batch being stored",
    labelNames: ['source'],
    buckets: LATENCY_BUCKETS,
    registers,
  })
  const lastBatch = new Gauge({
    name: 'meshgate_last_batch_timestamp_seconds',
    help: 'When the last batch was stored, since the Unix epoch',
    labelNames: ['source'],
    registers,
  })
  const received = new Counter({
    name: 'meshgate_received_messages_total',
    help: 'Incoming messages, reactions, edits and redactions that were stored',
    registers,
  })
  const commitSeconds = new Histogram({
    name: 'meshgate_commit_seconds',
    help: 'Time of one transaction of the database, its fsync included',
    buckets: COMMIT_BUCKETS,
    registers,
  })
  const commitWrites = new Histogram({
    name: 'meshgate_commit_writes',
    help: 'Writes that shared one transaction',
    buckets: COMMIT_SIZES,
    registers,
  })
  const loopLag = new Histogram({
    name: 'meshgate_event_loop_lag_seconds',
    help: 'How late a timer of the process fires',
    buckets: LAG_BUCKETS,
    registers,
  })

  const observer: Observer = {
    sendAttempted({ platform, deviceRowId, outcome, tookMs, ageMs }) {
      sendAttempts.inc({ platform, outcome })
      sendAttemptSeconds.observe({ platform }, tookMs / 1000)
      if (outcome === 'submitted') submitSeconds.observe({ platform }, ageMs / 1000)
      if (outcome !== 'failed') return tallies.learn(deviceRowId, platform)
      messageOutcomes.inc({ platform, outcome: 'failed' })
      tallies.messageFailed(deviceRowId)
    },

    messageSettled({ deviceRowId, status, ageMs }) {
      const platform = tallies.platformOf(deviceRowId)
      if (status === 'cancelled') return messageOutcomes.inc({ platform, outcome: 'cancelled' })
      if (status === 'failed') {
        messageOutcomes.inc({ platform, outcome: 'failed' })
        return tallies.messageFailed(deviceRowId)
      }
      messageOutcomes.inc({ platform, outcome: 'sent' })
      sentSeconds.observe({ platform }, ageMs / 1000)
      tallies.messageSent(deviceRowId, ageMs)
    },

    deliveryAttempted({ deviceRowId, outcome, status, tookMs, ageMs }) {
      deliveryAttempts.inc({ outcome, status: classOf(status) })
      deliveryAttemptSeconds.observe(tookMs / 1000)
      if (outcome === 'succeeded') {
        deliverySeconds.observe(ageMs / 1000)
        tallies.delivered(deviceRowId, ageMs)
      } else tallies.deliveryFailed(deviceRowId)
    },

    batchReceived({ source, outcome, messages, tookMs, lagMs }) {
      batches.inc({ source, outcome })
      batchSeconds.observe({ source }, tookMs / 1000)
      if (outcome !== 'stored') return
      received.inc(messages.length)
      lastBatch.setToCurrentTime({ source })
      if (lagMs !== null) receiveLag.observe({ source }, lagMs / 1000)
    },

    requestAnswered({ method, route, status, tookMs }) {
      requestSeconds.observe({ method, route, status }, tookMs / 1000)
    },

    requestRefused: reason => refusedRequests.inc({ reason }),
    authenticationFailed: kind => authFailures.inc({ kind }),

    committed(writes, tookMs) {
      commitWrites.observe(writes)
      commitSeconds.observe(tookMs / 1000)
    },
  }
  return { observer, loopLagged: ms => loopLag.observe(ms / 1000) }
}

/** `2xx` … `5xx`; `none` when there was no answer. */
function classOf(status: number | null): string {
  return status === null ? 'none' : `${Math.floor(status / 100)}xx`
}
