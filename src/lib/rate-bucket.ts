/** Token buckets by key: so much at once, then as much as has come back. Its memory is bounded. */
import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'

/**
 * @param options.size tokens of a full bucket
 * @param options.everyMs milliseconds for one token to come back
 * @param options.maxKeys with more, those that were used longest ago are full again
 */
export function createRateBucket(options: {
  size: number
  everyMs: number
  maxKeys?: number
  clock: Pick<Clock, 'steady'>
}) {
  const { size, everyMs, maxKeys = 20_000, clock } = options
  /** When each bucket is full, by the steady clock. */
  const fullAt = new LRUCache<string, number>({ max: maxKeys })

  return {
    /**
     * Takes all of `count` or nothing.
     * @param count at most `size`
     * @returns milliseconds until as many are there; 0: they are taken
     */
    take(key: string, count: number): number {
      const now = clock.steady()
      const after = Math.max(now, fullAt.get(key) ?? now) + count * everyMs
      const waitMs = after - now - size * everyMs
      if (waitMs > 0) return waitMs
      fullAt.set(key, after)
      return 0
    },
  }
}
