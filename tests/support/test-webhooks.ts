/** The webhook use cases on a real database, with an endpoint that a test scripts. */
import type { Db } from '../../src/db/open.ts'
import type { StoredEvent } from '../../src/domain/events.ts'
import type { DeliveryAttempt } from '../../src/domain/observation.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { MemoryBudget } from '../../src/lib/memory-budget.ts'
import { createSealer } from '../../src/lib/sealing.ts'
import { createChatRepository } from '../../src/modules/chats/chat-repository.ts'
import type { Payloads } from '../../src/modules/events/events.ts'
import { createDeliveryLog, createReplays } from '../../src/modules/webhooks/delivery-log.ts'
import { createDeliveryTry, MAX_FILE_BYTES_HELD } from '../../src/modules/webhooks/delivery-try.ts'
import { createDispatcher, type DispatcherOptions } from '../../src/modules/webhooks/dispatcher.ts'
import { EndpointHealth } from '../../src/modules/webhooks/endpoint-health.ts'
import { createDeliveryLogRepository } from '../../src/modules/webhooks/log-repository.ts'
import { createDeliveryQueue } from '../../src/modules/webhooks/queue-repository.ts'
import { createReplayRepository } from '../../src/modules/webhooks/replay-repository.ts'
import { createWebhookRepository } from '../../src/modules/webhooks/webhook-repository.ts'
import { createWebhooks } from '../../src/modules/webhooks/webhooks.ts'
import type { WebhookAnswer, WebhookRequest } from '../../src/outbound/webhook-client.ts'

export const TEST_SEALING_KEY = 'a key for tests only'

export const OK: WebhookAnswer = { outcome: 'delivered', status: 200, latencyMs: 7, response: 'ok' }

export function refused(status: number | null, retryAfterS: number | null = null): WebhookAnswer {
  return { outcome: 'refused', status, error: `HTTP ${status}`, retryAfterS, latencyMs: 7, response: 'no' }
}

/** Makes what clients get of a stored payload. */
export type PayloadMaker = (
  payload: StoredEvent,
  mayInline?: Parameters<Payloads['of']>[1],
) => Promise<object>

/** Leaves payloads as they are stored, without contacts and media. */
export const asStored: PayloadMaker = async payload => ({ ...payload, is_contact: false, media: null })

export function payloadsBy(make: PayloadMaker = asStored): Payloads {
  return {
    of: async ({ payload }, mayInline) => JSON.stringify(await make(JSON.parse(payload), mayInline)),
  }
}

/** A delivery try as the endpoint saw it. */
export interface SeenTry extends WebhookRequest {
  at: number
  payload: Record<string, unknown>
}

export interface TestWebhooksOptions {
  db: Db
  clock: Clock
  /** Earlier tries; new ones are appended. */
  tries?: SeenTry[]
  payloads?: PayloadMaker | undefined
  concurrencyPerEndpoint?: number
  disableAfterMs?: number
  /** Wraps the dispatcher's queue. */
  queue?: (queue: DispatcherOptions['queue']) => DispatcherOptions['queue']
}

const DAY_MS = 24 * 3_600_000

export function testWebhooks({ db, clock, tries = [], ...options }: TestWebhooksOptions) {
  const endpoint: { answer(request: SeenTry): WebhookAnswer | Promise<WebhookAnswer> } = { answer: () => OK }
  const sealer = createSealer(TEST_SEALING_KEY)
  const health = new EndpointHealth(clock)
  const repository = createWebhookRepository(db, { maxPerIdentity: 100, health })
  const deliver = createDeliveryTry({
    payloads: payloadsBy(options.payloads),
    memory: new MemoryBudget(clock, MAX_FILE_BYTES_HELD),
    client: {
      async deliver(request) {
        const seen = {
          ...request,
          at: clock.now(),
          payload: JSON.parse(Buffer.from(request.body.bytes).toString()),
        }
        tries.push(seen)
        return endpoint.answer(seen)
      },
    },
    sealer,
    clock,
  })
  const queue = createDeliveryQueue(db)
  const dispatcher = createDispatcher({
    queue: options.queue?.(queue) ?? queue,
    deliver,
    health,
    signals: db.signals,
    concurrencyPerEndpoint: options.concurrencyPerEndpoint ?? 4,
    disableAfterMs: options.disableAfterMs ?? 5 * DAY_MS,
    clock,
    logger: silentLogger,
  })
  const observed: DeliveryAttempt[] = []
  const replays = createReplays({
    repository: createReplayRepository(db),
    webhooks: repository,
    clock,
  })
  return {
    tries,
    /** Attempts that the delivery log reported to its observer. */
    observed,
    endpoint,
    dispatcher,
    replays,
    webhooks: createWebhooks({
      chats: createChatRepository(db),
      bridges: { platforms: ['sg', 'wa'] },
      repository,
      sealer,
      guard: { objectionTo: async () => null },
      clock,
    }),
    deliveries: createDeliveryLog({
      log: createDeliveryLogRepository(db, health),
      webhooks: repository,
      deliver,
      health,
      observer: { deliveryAttempted: attempt => observed.push(attempt) },
      clock,
    }),
  }
}
