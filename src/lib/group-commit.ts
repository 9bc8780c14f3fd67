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
   * @param work reads and writes on the shared connection, synchronously. It may run more than once: when another write of the
   *   same batch throws, the batch is rolled back and each work runs again by itself. So it must have no effect outside the
   *   database; do the rest after the promise resolves.
   * @returns what `work` returned, once it is on disk. Rejects with what `work` or COMMIT threw, nothing of it being written.
   */
  write<T>(work: () => Synchronous<T>): Promise<T>
}

/** @param writes how many shared the transaction. @param tookMs how long it took */
export type CommitWatcher = (writes: number, tookMs: number) => void

interface PendingWrite {
  work: () => unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Longest a batch may hold the event loop before the rest waits for the next turn. */
const BATCH_BUDGET_MS = 8
/** While another process writes: how long until the next try, and for how long writes wait in all. */
const BUSY_PAUSE_MS = 20
const BUSY_PATIENCE_MS = 15_000
/** The same at the end, when nobody has the time to wait. */
const CLOSING_PATIENCE_MS = 1_000

export interface GroupCommitOptions {
  /** How long reads after a commit may share a read transaction, in milliseconds; 0: each read is by itself. */
  snapshotMs?: number
  /** What the failures of SQLite are to callers. */
  translate?: (error: unknown) => unknown
  /** How long writes wait for another process that writes, in milliseconds. */
  busyPatienceMs?: number
}

export class GroupCommit implements Committer {
  private queue: PendingWrite[] = []
  private scheduled = false
  private closed = false
  /** Since when another process has kept us from writing (performance.now()); null while none does. */
  private busySince: number | null = null
  private failure: unknown = null

  private readonly snapshot: ReadSnapshot | undefined
  private readonly translate: (error: unknown) => unknown
  private busyPatienceMs: number
  /** What the works of the transaction under way asked to be done once it is on disk. */
  private effects: (() => void)[] = []
  /** When the transaction under way began (performance.now()). */
  private begunAt = 0
  private readonly watchers = new Set<CommitWatcher>()

  constructor(
    private readonly database: Database,
    {
      snapshotMs = 0,
      translate = error => error,
      busyPatienceMs = BUSY_PATIENCE_MS,
    }: GroupCommitOptions = {},
  ) {
    this.busyPatienceMs = busyPatienceMs
    this.snapshot = snapshotMs > 0 ? new ReadSnapshot(database, snapshotMs) : undefined
    this.translate = translate
  }

  write<T>(work: () => Synchronous<T>): Promise<T> {
    if (this.closed) return Promise.reject(new Error('the database is closed'))
    return new Promise<T>((resolve, reject) => {
      this.queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.schedule()
    })
  }

  /**
   * To be called by a work: `effect` runs once its transaction is on disk, and not at all when it is rolled back. So it may reach outside the
   * database, where the work itself, which may run twice, must not.
   */
  afterCommit(effect: () => void): void {
    this.effects.push(effect)
  }

  /** From now on `watcher` is told of each transaction, once it is on disk. @returns what ends that */
  watch(watcher: CommitWatcher): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  /** Why the database can't be written: a full disk, another process, a failing disk. Null when the last commit succeeded. */
  trouble(): unknown {
    return this.failure
  }

  /** Commits what is waiting, then refuses further writes. Call it before closing the database. */
  close(): void {
    this.busyPatienceMs = CLOSING_PATIENCE_MS
    while (this.queue.length > 0) this.flush()
    this.closed = true
    this.snapshot?.close()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    const turn = () => {
      this.scheduled = false
      this.flush()
      if (this.queue.length > 0) this.schedule()
    }
    // Waiting for another process is done here and not within SQLite, where all of this process would wait, reads included.
    if (this.busySince === null) setImmediate(turn)
    else setTimeout(turn, BUSY_PAUSE_MS)
  }

  private flush(): void {
    // close() may have come before the turn that was scheduled, and the database may be gone by now.
    if (this.queue.length === 0) return
    this.snapshot?.end()
    if (this.begin()) this.commitBatch()
    this.snapshot?.open()
  }

  /** @returns false when it isn't our turn to write: then all writes wait on, or were rejected */
  private begin(): boolean {
    try {
      this.database.run('BEGIN IMMEDIATE')
      this.busySince = null
      return true
    } catch (error) {
      if (isBusy(error)) {
        this.busySince ??= performance.now()
        this.failure = this.translate(error)
        if (performance.now() - this.busySince < this.busyPatienceMs) return false
      }
      this.failure = this.translate(error)
      for (const write of this.queue.splice(0)) write.reject(this.failure)
      return false
    }
  }

  /** Runs what waits in the transaction that was begun, and ends it. */
  private commitBatch(): void {
    const results: unknown[] = []
    this.startEffects()
    const deadline = this.begunAt + BATCH_BUDGET_MS
    let next = 0
    try {
      while (next < this.queue.length && (next === 0 || performance.now() < deadline)) {
        results.push((this.queue[next++] as PendingWrite).work())
      }
      this.database.run('COMMIT')
    } catch (error) {
      this.rollBack()
      const batch = this.queue.splice(0, next)
      if (batch.length === 1) batch[0]?.reject(this.failed(error))
      else this.retryApart(batch)
      return
    }
    const batch = this.queue.splice(0, next)
    for (const [index, write] of batch.entries()) write.resolve(results[index])
    this.committed(batch.length)
  }

  private startEffects(): void {
    this.begunAt = performance.now()
    this.effects = []
  }

  private committed(writes: number): void {
    this.failure = null
    const tookMs = performance.now() - this.begunAt
    for (const watch of this.watchers) watch(writes, tookMs)
    for (const effect of this.effects) effect()
  }

  /** One work of the batch failed: run each on its own savepoint, so that only the culprit is rejected. */
  private retryApart(batch: PendingWrite[]): void {
    const settle: (() => void)[] = []
    this.startEffects()
    try {
      this.database.run('BEGIN IMMEDIATE')
      for (const write of batch) {
        this.database.run('SAVEPOINT apart')
        const effects = this.effects.length
        try {
          const result = write.work()
          this.database.run('RELEASE apart')
          settle.push(() => write.resolve(result))
        } catch (error) {
          // SQLite itself rolls back the whole transaction on a full disk or an I/O error.
          if (!this.database.inTransaction) throw error
          this.database.run('ROLLBACK TO apart')
          this.database.run('RELEASE apart')
          this.effects.length = effects
          settle.push(() => write.reject(this.translate(error)))
        }
      }
      this.database.run('COMMIT')
    } catch {
      this.rollBack()
      // What frees space, or takes little, may succeed where all together don't.
      for (const write of batch) this.commitAlone(write)
      return
    }
    for (const done of settle) done()
    this.committed(batch.length)
  }

  private commitAlone(write: PendingWrite): void {
    this.startEffects()
    try {
      this.database.run('BEGIN IMMEDIATE')
      const result = write.work()
      this.database.run('COMMIT')
      write.resolve(result)
      this.committed(1)
    } catch (error) {
      this.rollBack()
      write.reject(this.failed(error))
    }
  }

  /** What a work threw by itself is its caller's matter; what SQLite couldn't do is everybody's. */
  private failed(error: unknown): unknown {
    const told = this.translate(error)
    if (told !== error) this.failure = told
    return told
  }

  /** Whatever state a failure has left the connection in, the next write can begin. */
  private rollBack(): void {
    if (!this.database.inTransaction) return
    try {
      this.database.run('ROLLBACK')
    } catch {
      // The failure that is being reported says why; what was written is rolled back all the same.
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
