/**
 * What this process has seen of endpoints: which of them fail just now, and when their success was last written down. A shortcut over the
 * webhooks' rows, so that a try that succeeds hardly ever costs a write of its own.
 */
import { LRUCache } from 'lru-cache'
import type { Webhook } from '../../db/schema/index.ts'

/** How exact `last_success_at` is. */
const SUCCESS_NOTED_MS = 60_000
/** Endpoints remembered at a time. */
const MAX_REMEMBERED = 10_000

export class EndpointHealth {
  private readonly failing = new Set<string>()
  private readonly notedAt = new LRUCache<string, number>({ max: MAX_REMEMBERED })

  /** Whether its last try failed. */
  isFailing(endpoint: string): boolean {
    return this.failing.has(endpoint)
  }

  failed(endpoint: string): void {
    this.failing.add(endpoint)
  }

  /** @returns whether the webhook's row has to be told */
  succeeded(endpoint: string, webhook: Webhook, now: number): boolean {
    const wasFailing = this.failing.delete(endpoint) || webhook.failingSince !== null
    const notedAt = Math.max(this.notedAt.get(endpoint) ?? 0, webhook.lastSuccessAt ?? 0)
    // A clock that was set back must not silence it until it has caught up.
    if (!wasFailing && now - notedAt < SUCCESS_NOTED_MS && notedAt <= now) return false
    this.notedAt.set(endpoint, now)
    return true
  }
}
