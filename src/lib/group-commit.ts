/**
 * Group commit: the writes that arrive in one turn of the event loop share one SQLite transaction, and so one fsync.
 *
 * With `synchronous = FULL` a commit costs an fsync; one commit per request gives a quarter of the rate of
 * committing together the requests that arrive together. A write's promise settles only after its COMMIT has returned,
 * so whoever awaits it may tell the outside world that the row is durable.
 */
import type { Database } from 'bun:sqlite'
import { ReadSnapshot } from './read-snapshot.ts'

/** A result that is not a promise: an async callback would commit before its work is done (bun:sqlite ignores it). */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T

/** Runs synchronous work inside the next shared transaction. The port that stores are written against. */
export interface Committer {
  /**
   * @param work reads and writes on the shared connection, synchronously. It may run twice: when another write of the same
   *   batch throws, the batch is rolled back and each work runs again on its own savepoint. So it must have no effect
   *   outside the database; do the rest after the promise resolves.
   * @returns what `work` returned, once it is on disk. Rejects with what `work` or COMMIT threw, nothing of it being written.
   */
  write<T>(work: () => Synchronous<T>): Promise<T>
}

interface PendingWrite {
  work: () => unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Longest a batch may hold the event loop before the rest waits for the next turn. */
const BATCH_BUDGET_MS = 8

export class GroupCommit implements Committer {
  private queue: PendingWrite[] = []
  private scheduled = false
  private closed = false

  private readonly snapshot: ReadSnapshot | undefined

  /** @param snapshotMs how long reads after a commit may share a read transaction; 0: each read is by itself */
  constructor(
    private readonly database: Database,
    snapshotMs = 0,
  ) {
    this.snapshot = snapshotMs > 0 ? new ReadSnapshot(database, snapshotMs) : undefined
  }

  write<T>(work: () => Synchronous<T>): Promise<T> {
    if (this.closed) return Promise.reject(new Error('the database is closed'))
    return new Promise<T>((resolve, reject) => {
      this.queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.schedule()
    })
  }

  /** Commits what is waiting, then refuses further writes. Call it before closing the database. */
  close(): void {
    while (this.queue.length > 0) this.flush()
    this.closed = true
    this.snapshot?.close()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.flush()
      if (this.queue.length > 0) this.schedule()
    })
  }

  private flush(): void {
    // close() may have come before the turn that was scheduled, and the database may be gone by now.
    if (this.queue.length === 0) return
    this.snapshot?.end()
    this.commitBatch()
    this.snapshot?.open()
  }

  private commitBatch(): void {
    const batch: PendingWrite[] = []
    const results: unknown[] = []
    const deadline = performance.now() + BATCH_BUDGET_MS
    try {
      this.database.run('BEGIN IMMEDIATE')
      let next = 0
      while (next < this.queue.length && (next === 0 || performance.now() < deadline)) {
        const write = this.queue[next++] as PendingWrite
        batch.push(write)
        results.push(write.work())
      }
      this.database.run('COMMIT')
    } catch (error) {
      if (this.database.inTransaction) this.database.run('ROLLBACK')
      if (batch.length === 0) batch.push(...this.queue)
      this.queue.splice(0, batch.length)
      if (batch.length === 1) batch[0]?.reject(error)
      else this.retryApart(batch, error)
      return
    }
    this.queue.splice(0, batch.length)
    for (const [index, write] of batch.entries()) write.resolve(results[index])
  }

  /** One work of the batch failed: run each on its own savepoint, so that only the culprit is rejected. */
  private retryApart(batch: PendingWrite[], cause: unknown): void {
    const settle: (() => void)[] = []
    try {
      this.database.run('BEGIN IMMEDIATE')
      for (const write of batch) {
        this.database.run('SAVEPOINT apart')
        try {
          const result = write.work()
          this.database.run('RELEASE apart')
          settle.push(() => write.resolve(result))
        } catch (error) {
          // SQLite itself rolls back the whole transaction on a full disk or an I/O error.
          if (!this.database.inTransaction) throw error
          this.database.run('ROLLBACK TO apart')
          this.database.run('RELEASE apart')
          settle.push(() => write.reject(error))
        }
      }
      this.database.run('COMMIT')
    } catch (error) {
      if (this.database.inTransaction) this.database.run('ROLLBACK')
      for (const write of batch) write.reject(error ?? cause)
      return
    }
    for (const done of settle) done()
  }
}
