/**
 * Replays: past events delivered to a webhook again, or for the first time. What is asked for is a row; a worker makes deliveries of the events
 * batch by batch, and the dispatcher makes those as it makes any other.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import { switchedOff } from './delivery-log.ts'
import type { NewReplay, ReplayRepository } from './replay-repository.ts'
import type { WebhookRepository } from './repository.ts'
import type { Replays } from './types.ts'
import { existingWebhook } from './webhooks.ts'

export interface ReplaysOptions {
  repository: ReplayRepository
  webhooks: Pick<WebhookRepository, 'find'>
  clock: Clock
}

/** Between two batches, so that what happens now has its turn. */
const BATCH_SPACING_MS = 5
const POLL_MS = 60_000
/** RFC 3339 with an offset. */
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i

export function createReplays(options: ReplaysOptions): Replays & { worker: Worker } {
  const { repository, webhooks, clock } = options
  const nudge = new Nudge()

  /** Counts in steps, between which others have their turn. */
  async function count(replay: NewReplay): Promise<number> {
    const webhook = await existingWebhook(webhooks, replay.identityId, replay.webhookId)
    let total = 0
    for (let seq: number | null = 0; seq !== null; ) {
      const { matches, lastSeq } = await repository.count(replay, webhook, seq)
      total += matches
      seq = lastSeq
      await yieldToEventLoop()
    }
    return total
  }

  /** @returns whether there was one under way. Each goes one batch on, so that a long one holds up no other. */
  async function tick(signal: AbortSignal): Promise<boolean> {
    const underWay = await repository.underWay()
    for (const { replay, webhook } of underWay) await repository.advance(replay, webhook, clock.now())
    if (underWay.length > 0) await clock.sleep(BATCH_SPACING_MS, signal)
    return underWay.length > 0
  }

  return {
    async start(identityId, webhookId, { since, until, onlyFailed = false }) {
      const webhook = await existingWebhook(webhooks, identityId, webhookId)
      if (!webhook.active) throw switchedOff(webhookId)
      const now = clock.now()
      const replay: NewReplay = {
        identityId,
        webhookId,
        since: instant('since', since),
        // What is received in this very millisecond is part of the past that is asked for.
        until: until === undefined ? now + 1 : instant('until', until),
        onlyFailed,
        lastSeq: await repository.newestSeq(identityId),
      }
      if (replay.since > now) throw new GatewayError('bad_request', 'since: expected a time in the past')
      if (replay.until <= replay.since)
        throw new GatewayError('bad_request', 'until: expected a time after since')
      const events = await count(replay)
      if (events > 0 && !(await repository.start(replay, now)))
        throw new GatewayError(
          'conflict',
          `a replay of webhook ${webhookId} is under way: wait until it is done`,
        )
      nudge.nudge()
      return { events }
    },

    worker: every('webhook-replay', POLL_MS, tick, { clock, nudge }),
  }
}

/** @throws GatewayError bad_request */
function instant(field: string, text: string): number {
  const [, year, month, day] = TIMESTAMP.exec(text) ?? []
  // Date.parse takes the 30th of February for a day in March.
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  const at = date.getUTCDate() === Number(day) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new GatewayError('bad_request', `${field}: expected a time in RFC 3339, such as 2026-04-27T10:00:00Z`)
}
