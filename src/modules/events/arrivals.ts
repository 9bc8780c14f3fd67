/**
 * Wakes readers that wait for an identity's next event. While somebody waits, it looks at new rows
 * after each commit, whoever wrote them. Readers also look by themselves, less often.
 */
import { KeyedMutex } from '../../lib/keyed-mutex.ts'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
import type { FeedRepository } from './feed-repository.ts'

export interface ArrivalsOptions {
  repository: Pick<FeedRepository, 'arrivals' | 'newestOfAll'>
  /** Calls back after each commit. @returns what ends that */
  watchCommits(watcher: () => void): () => void
}

/** Events looked at in one go. */
const BATCH = 1_000

export class Arrivals {
  private readonly waiting = new Map<string, Set<() => void>>()
  private unwatch: (() => void) | undefined
  private readonly looks = new KeyedMutex()
  private seenSeq = 0

  constructor(private readonly options: ArrivalsOptions) {}

  /** Calls `wake` at the identity's next event, perhaps without one. @returns ends that */
  watch(identityId: string, wake: () => void): () => void {
    const wakers = this.waiting.get(identityId) ?? new Set()
    this.waiting.set(identityId, wakers.add(wake))
    this.unwatch ??= this.options.watchCommits(() => void this.look())
    return () => {
      wakers.delete(wake)
      if (wakers.size > 0 || this.waiting.get(identityId) !== wakers) return
      this.waiting.delete(identityId)
      if (this.waiting.size > 0) return
      this.unwatch?.()
      this.unwatch = undefined
      // Events that come while nobody waits wake nobody.
      this.seenSeq = 0
    }
  }

  private async look(): Promise<void> {
    try {
      await this.looks.join('', async () => {
        // One look for all commits until the next turn.
        await yieldToEventLoop()
        await this.wakeForNew()
      })
    } catch {
      // Such as a busy database. Readers look by themselves.
    }
  }

  private async wakeForNew(): Promise<void> {
    const { repository } = this.options
    if (this.seenSeq === 0) {
      // At the first look nobody knows what is new, so it wakes all.
      this.seenSeq = await repository.newestOfAll()
      for (const identityId of this.waiting.keys()) this.wake(identityId)
      return
    }
    for (;;) {
      const fresh = await repository.arrivals(this.seenSeq, BATCH)
      for (const identityId of new Set(fresh.map(event => event.identityId))) this.wake(identityId)
      this.seenSeq = fresh.at(-1)?.seq ?? this.seenSeq
      if (fresh.length < BATCH) return
    }
  }

  private wake(identityId: string): void {
    for (const wake of this.waiting.get(identityId) ?? []) wake()
  }
}
