/** Webhooks: their endpoints, what is delivered to them, and what their owners see and do. */

import { MemoryBudget } from '../lib/memory-budget.ts'
import type { Payloads } from '../modules/events/events.ts'
import { createDeliveryLog, createReplays } from '../modules/webhooks/delivery-log.ts'
import { createDeliveryTry, MAX_FILE_BYTES_HELD } from '../modules/webhooks/delivery-try.ts'
import { createDispatcher } from '../modules/webhooks/dispatcher.ts'
import { EndpointHealth } from '../modules/webhooks/endpoint-health.ts'
import type { FilterTargets } from '../modules/webhooks/filters.ts'
import { createDeliveryLogRepository } from '../modules/webhooks/log-repository.ts'
import { createDeliveryQueue } from '../modules/webhooks/queue-repository.ts'
import { createReplayRepository } from '../modules/webhooks/replay-repository.ts'
import { createWebhookRepository } from '../modules/webhooks/webhook-repository.ts'
import { createWebhookCleanup, createWebhooks } from '../modules/webhooks/webhooks.ts'
import { createEndpointGuard } from '../outbound/endpoint-guard.ts'
import { createWebhookClient } from '../outbound/webhook-client.ts'
import type { AppContext } from './context.ts'

export function createWebhookServices(
  context: AppContext,
  { payloads, ...targets }: FilterTargets & { payloads: Payloads },
) {
  const { config, db, sealer, version, clock } = context
  const { timeoutMs, maxPerIdentity } = config.webhooks
  const guard = createEndpointGuard({
    ...config.webhooks,
    remedy: 'WEBHOOK_ALLOW_PRIVATE allows those: true, or a list of networks',
    clock,
  })
  const health = new EndpointHealth(clock)
  const repository = createWebhookRepository(db, { maxPerIdentity, health })
  const deliver = createDeliveryTry({
    payloads,
    memory: new MemoryBudget(clock, MAX_FILE_BYTES_HELD),
    client: createWebhookClient({ timeoutMs, userAgent: `Meshgate/${version}`, guard, clock }),
    sealer,
    clock,
  })
  const dispatcher = createDispatcher({
    ...context,
    ...config.webhooks,
    queue: createDeliveryQueue(db),
    deliver,
    health,
  })
  const replays = createReplays({ repository: createReplayRepository(db), webhooks: repository, clock })
  return {
    webhooks: createWebhooks({ ...targets, repository, sealer, guard, clock }),
    deliveries: createDeliveryLog({
      ...context,
      log: createDeliveryLogRepository(db, health),
      webhooks: repository,
      deliver,
      health,
    }),
    replays,
    workers: [dispatcher, replays.worker, createWebhookCleanup(repository, clock)],
  }
}
