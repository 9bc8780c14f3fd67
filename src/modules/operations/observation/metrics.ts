/**
 * Metrics that are counted as things happen. Each call adds to a counter or a histogram, half a
 * microsecond, and nothing else. docs/operations.md describes every metric; a test compares.
 */
import { Registry } from 'prom-client'
import type { Observer } from '../../../domain/observation.ts'
import { DeviceTallies } from './device-tallies.ts'
import { createGauges, type GaugesOptions } from './gauges.ts'
import { instrumentsOf } from './instruments.ts'

/** In seconds: from a local endpoint to a paced queue, or a device that is away. */
const LATENCY_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400,
]
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60]
const COMMIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const COMMIT_SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
const LAG_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const registry = new Registry()
  const tallies = new DeviceTallies()
  return {
    ...countInto(registry, tallies),

    /** @returns a function that gives every metric in Prometheus's text format */
    expose(parts: Omit<GaugesOptions, 'tallies'>): () => Promise<string> {
      const refresh = createGauges(registry, { ...parts, tallies })
      return async () => {
        const series = await refresh()
        return `${await registry.metrics()}${series}`
      }
    },
  }
}

function countInto(registry: Registry, tallies: DeviceTallies) {
  const { counter, gauge, histogram } = instrumentsOf(registry)
  const requestSeconds = histogram(
    'meshgate_http_request_seconds{method,route,status}',
    REQUEST_BUCKETS,
    'Time to answer a request, by route template and status',
  )
  const refusedRequests = counter(
    'meshgate_requests_refused_total{reason}',
    'Requests answered 429, by what there was too much of',
  )
  const authFailures = counter('meshgate_auth_failures_total{kind}', 'Wrong secrets, by what they were for')
  const sendAttempts = counter(
    'meshgate_send_attempts_total{platform,outcome}',
    'Tries at handing a message to the homeserver',
  )
  const sendAttemptSeconds = histogram(
    'meshgate_send_attempt_seconds{platform}',
    REQUEST_BUCKETS,
    'Time that one try at sending takes',
  )
  const submitSeconds = histogram(
    'meshgate_message_submit_seconds{platform}',
    LATENCY_BUCKETS,
    'From accepting a message to the homeserver having it',
  )
  const sentSeconds = histogram(
    'meshgate_message_sent_seconds{platform}',
    LATENCY_BUCKETS,
    'From accepting a message to its bridge saying that it was sent',
  )
  const messageOutcomes = counter(
    'meshgate_message_outcomes_total{platform,outcome}',
    'Messages of which it became known whether they were sent, and those taken back',
  )
  const deliveryAttempts = counter(
    'meshgate_delivery_attempts_total{outcome,status}',
    'Tries at delivering an event to a webhook, by outcome and class of the HTTP status',
  )
  const deliveryAttemptSeconds = histogram(
    'meshgate_delivery_attempt_seconds',
    REQUEST_BUCKETS,
    'Time that one try at delivering takes',
  )
  const deliverySeconds = histogram(
    'meshgate_delivery_seconds',
    LATENCY_BUCKETS,
    'From storing an event to its webhook having it',
  )
  const batches = counter(
    'meshgate_batches_total{source,outcome}',
    'Transactions and /sync responses of the homeserver',
  )
  const batchSeconds = histogram(
    'meshgate_batch_seconds{source}',
    REQUEST_BUCKETS,
    'Time to understand and store a batch',
  )
  const receiveLag = histogram(
    'meshgate_receive_lag_seconds{source}',
    LATENCY_BUCKETS,
    "From the homeserver's stamp of a batch's newest event to the batch being stored",
  )
  const lastBatch = gauge(
    'meshgate_last_batch_timestamp_seconds{source}',
    'When the last batch was stored, since the Unix epoch',
  )
  const received = counter(
    'meshgate_received_messages_total',
    'Incoming messages, and what else was said in chats, that were stored',
  )
  const commitSeconds = histogram(
    'meshgate_commit_seconds',
    COMMIT_BUCKETS,
    'Time of one transaction of the database, its fsync included',
  )
  const commitWrites = histogram('meshgate_commit_writes', COMMIT_SIZES, 'Writes that shared one transaction')
  const loopLag = histogram(
    'meshgate_event_loop_lag_seconds',
    LAG_BUCKETS,
    'How late a timer of the process fires',
  )

  const observer: Observer = {
    sendAttempted({ platform, deviceRowId, outcome, tookMs, ageMs }) {
      sendAttempts.inc({ platform, outcome })
      sendAttemptSeconds.observe({ platform }, tookMs / 1000)
      if (outcome === 'submitted') submitSeconds.observe({ platform }, ageMs / 1000)
      if (outcome !== 'failed') return tallies.learn(deviceRowId, platform)
      messageOutcomes.inc({ platform, outcome: 'failed' })
      tallies.add(deviceRowId, { failed: 1 })
    },

    messageSettled({ deviceRowId, status, ageMs }) {
      const platform = tallies.platformOf(deviceRowId)
      if (status === 'cancelled') return messageOutcomes.inc({ platform, outcome: 'cancelled' })
      if (status === 'failed') {
        messageOutcomes.inc({ platform, outcome: 'failed' })
        return tallies.add(deviceRowId, { failed: 1 })
      }
      messageOutcomes.inc({ platform, outcome: 'sent' })
      sentSeconds.observe({ platform }, ageMs / 1000)
      tallies.add(deviceRowId, { sent: 1, sentMs: ageMs })
    },

    deliveryAttempted({ deviceRowId, outcome, status, tookMs, ageMs }) {
      deliveryAttempts.inc({ outcome, status: classOf(status) })
      deliveryAttemptSeconds.observe(tookMs / 1000)
      if (outcome === 'succeeded') {
        deliverySeconds.observe(ageMs / 1000)
        tallies.add(deviceRowId, { delivered: 1, deliveredMs: ageMs })
      } else tallies.add(deviceRowId, { deliveryFailures: 1 })
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
  /** A timer of the process fired so late. */
  const loopLagged = (ms: number) => loopLag.observe(ms / 1000)
  return { observer, loopLagged }
}

/** `2xx` … `5xx`; `none` when there was no answer. */
function classOf(status: number | null): string {
  return status === null ? 'none' : `${Math.floor(status / 100)}xx`
}
