/**
 * Counts each holder's keys in memory, so that nobody fills the disk with them. A holder's rows are
 * counted once, and again when there seem to be too many, as retention may have removed some. So
 * the count is never too low.
 */
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'

export interface KeyCounts {
  /** Takes room for one key more. @throws GatewayError too_many_requests */
  enter(holder: string): Promise<void>
  /** The key stands for nothing after all. */
  leave(holder: string): void
}

export interface KeyCountsOptions {
  /** Keys that one holder may have. */
  maxPerHolder: number
  /** Counts a holder's keys in the database. */
  count(holder: string): Promise<number>
  clock: Clock
}

interface Counted {
  keys: number
  /** By the steady clock. */
  countedAt: number
}

/** Counting 100,000s takes a tenth of a second: a holder with too many is recounted this often. */
const RECOUNT_MS = 60_000
/** Holders counted in memory; another is counted anew when its turn comes. */
const MAX_HOLDERS = 10_000

export function createKeyCounts({ maxPerHolder, count, clock }: KeyCountsOptions): KeyCounts {
  const holders = new LRUCache<string, Counted>({ max: MAX_HOLDERS })

  async function countOf(holder: string): Promise<Counted> {
    const known = holders.get(holder)
    if (known && (known.keys < maxPerHolder || clock.steady() - known.countedAt < RECOUNT_MS)) return known
    const keys = await count(holder)
    // Somebody else may have counted, and entered, meanwhile.
    const other = holders.get(holder)
    if (other && other !== known) return other
    const counted = { keys, countedAt: clock.steady() }
    holders.set(holder, counted)
    return counted
  }

  return {
    async enter(holder) {
      const counted = await countOf(holder)
      if (counted.keys >= maxPerHolder) throw tooMany(maxPerHolder)
      counted.keys += 1
    },
    leave(holder) {
      const counted = holders.get(holder)
      if (counted) counted.keys -= 1
    },
  }
}

function tooMany(maxPerHolder: number): GatewayError {
  return new GatewayError(
    'too_many_requests',
    `Idempotency-Key: ${maxPerHolder} keys were used within 24 hours, which is as many as are kept. Nothing was done; the oldest are forgotten when they are 24 hours old`,
    RECOUNT_MS / 1_000,
  )
}
