/**
 * Group commit: writes that arrive in one turn of the event loop share one transaction and fsync.
 *
 * With `synchronous = FULL` a commit costs an fsync; one commit per request gives a quarter of the
 * rate. A write's promise settles only after COMMIT returns, so its caller may then report the row
 * as durable.
 */
import type { Database } from 'bun:sqlite'
import { AsyncLocalStorage } from 'node:async_hooks'
import { codeOf } from './error-codes.ts'
import { ReadSnapshot } from './read-snapshot.ts'
import { type TransactionScope, Works } from './transaction-scope.ts'
import { yieldToEventLoop } from './turn-budget.ts'

/** No promise: bun:sqlite ignores it, so an async callback would commit before its work is done. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T

/**
 * Runs synchronous work inside the next shared transaction. The homeserver and the sandbox use it:
 * their stores read and write on one connection without awaiting anything.
 */
export interface Committer {
  /**
   * @param work reads and writes on the shared connection, synchronously. When another write of the
   * batch throws, the batch is rolled back and each work runs again by itself. So it must have no
   * effect outside the database; do the rest after the promise resolves.
   * @returns the result of `work`, once it is on disk. Rejects with the error of `work` or COMMIT.
   */
  write<T>(work: () => Synchronous<T>): Promise<T>
}

/** @param writes number of writes in the transaction. @param tookMs its duration */
export type CommitWatcher = (writes: number, tookMs: number) => void

interface PendingWrite {
  work: (scope: TransactionScope) => unknown
  /**
   * True if `work` returns a promise. Other code runs between its statements and must not see a
   * synchronous work's rows: so synchronous works run last, right before COMMIT.
   */
  isAsync: boolean
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Longest time a batch may hold the event loop; the rest waits for the next turn. */
const BATCH_BUDGET_MS = 8
/** While another process writes: pause between tries, and how long writes wait in all. */
const BUSY_PAUSE_MS = 20
const BUSY_PATIENCE_MS = 15_000
/** The patience while closing, when nobody has time to wait. */
const CLOSING_PATIENCE_MS = 1_000
export interface GroupCommitOptions {
  /** How long reads after a commit may share a read transaction, in ms; 0: they share none. */
  snapshotMs?: number
  /** Translates SQLite's errors for callers. */
  translate?: (error: unknown) => unknown
  /** How long writes wait while another process writes, in milliseconds. */
  busyPatienceMs?: number
}

export class GroupCommit implements Committer {
  private queue: PendingWrite[] = []
  private scheduled = false
  private closed = false
  /** When another process began to block our writes (performance.now()); null while none does. */
  private busySince: number | null = null
  private failure: unknown = null

  private readonly snapshot: ReadSnapshot | undefined
  private readonly translate: (error: unknown) => unknown
  private busyPatienceMs: number
  /** True during a transaction. */
  private writing = false
  private flushing: Promise<void> | undefined
  private readonly current = new AsyncLocalStorage<TransactionScope>()
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
    return this.enqueue(work, false)
  }

  /**
   * Runs asynchronous work inside the next shared transaction, under the same terms as `write`.
   * @param work awaits nothing but statements of this connection. A `write` or `transact` inside it
   * rejects: it would wait for itself.
   */
  transact<T>(work: (scope: TransactionScope) => Promise<T>): Promise<T> {
    return this.enqueue(work, true)
  }

  /** True while works run: the connection then shows uncommitted rows. */
  get isWriting(): boolean {
    return this.writing
  }

  /** True for code called by a work. */
  get isInsideWork(): boolean {
    return this.current.getStore()?.isOpen === true
  }

  /**
   * Writes the log back into the file and empties it, so that nothing which was deleted is left in
   * it.
   * @returns false when somebody else reads or writes: try again
   */
  async emptyLog(): Promise<boolean> {
    while (this.writing) await this.flushing
    if (this.closed) return false
    this.snapshot?.end()
    try {
      using checkpoint = this.database.prepare<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)')
      return checkpoint.get()?.busy === 0
    } catch (error) {
      if (/^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))) return false
      throw this.translate(error)
    } finally {
      this.snapshot?.open()
    }
  }

  /** Calls `watcher` after each commit. @returns a function that stops it */
  watch(watcher: CommitWatcher): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  /** Why writes fail: disk full, disk failing, another process. Null after a successful commit. */
  trouble(): unknown {
    return this.failure
  }

  /** Commits the waiting writes, then refuses further ones. Call it before closing the database. */
  async close(): Promise<void> {
    this.busyPatienceMs = CLOSING_PATIENCE_MS
    await this.flushing
    while (this.queue.length > 0) {
      await this.flush()
      await (this.busySince === null ? yieldToEventLoop() : Bun.sleep(BUSY_PAUSE_MS))
    }
    this.closed = true
    this.snapshot?.close()
  }

  private enqueue<T>(work: (scope: TransactionScope) => unknown, isAsync: boolean): Promise<T> {
    if (this.closed) return Promise.reject(new Error('the database is closed'))
    if (this.isInsideWork)
      return Promise.reject(new Error('a write inside a write waits for itself: pass the transaction on'))
    return new Promise<T>((resolve, reject) => {
      this.queue.push({ work, isAsync, resolve: resolve as (value: unknown) => void, reject })
      this.schedule()
    })
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    const turn = async () => {
      await this.flush()
      this.scheduled = false
      if (this.queue.length > 0) this.schedule()
    }
    // Waits here, not within SQLite, which would block the whole process, reads included.
    if (this.busySince === null) setImmediate(turn)
    else setTimeout(turn, BUSY_PAUSE_MS)
  }

  private async flush(): Promise<void> {
    // close() may have run before the scheduled turn, and the database may be closed by now.
    if (this.queue.length === 0) return
    await this.flushing
    if (!this.begin()) return
    this.flushing = this.commitBatch(this.queue)
    await this.flushing
  }

  /** @returns false when the transaction couldn't begin: the writes wait on, or were rejected */
  private begin(): boolean {
    try {
      this.beginTransaction()
      this.busySince = null
      return true
    } catch (error) {
      this.end()
      if (codeOf(error).startsWith('SQLITE_BUSY')) {
        this.busySince ??= performance.now()
        this.failure = this.translate(error)
        if (performance.now() - this.busySince < this.busyPatienceMs) return false
      }
      this.failure = this.translate(error)
      for (const write of this.queue.splice(0)) write.reject(this.failure)
      return false
    }
  }

  private beginTransaction(): void {
    this.snapshot?.end()
    this.database.run('BEGIN IMMEDIATE')
    this.writing = true
  }

  /** From now on reads see the commit. */
  private end(): void {
    this.writing = false
    this.snapshot?.open()
  }

  /** Runs the waiting works in the open transaction and ends it. Takes them off `waiting`. */
  private async commitBatch(waiting: PendingWrite[]): Promise<void> {
    using batch = new Works(this.current)
    const deadline = batch.begunAt + BATCH_BUDGET_MS
    const taken: PendingWrite[] = []
    const synchronous: PendingWrite[] = []
    const results = new Map<PendingWrite, unknown>()
    try {
      for (;;) {
        const write = waiting[0]
        if (!write || (taken.length > 0 && performance.now() >= deadline)) break
        waiting.shift()
        taken.push(write)
        if (write.isAsync) results.set(write, await batch.run(write.work))
        else synchronous.push(write)
      }
      for (const write of synchronous) results.set(write, batch.runNow(write.work))
      this.commit()
    } catch (error) {
      this.rollBack()
      const [only] = taken
      if (taken.length === 1) only?.reject(this.failed(error))
      else await this.retryApart(taken)
      return
    }
    for (const write of taken) write.resolve(results.get(write))
    this.committed(batch, taken.length)
  }

  private commit(): void {
    this.database.run('COMMIT')
    this.end()
  }

  private committed(batch: Works, writes: number): void {
    this.failure = null
    const tookMs = performance.now() - batch.begunAt
    for (const watch of this.watchers) watch(writes, tookMs)
    for (const effect of batch.effects) effect()
  }

  /** A work failed: runs each on its own savepoint, so that only the culprit is rejected. */
  private async retryApart(writes: PendingWrite[]): Promise<void> {
    const settle: (() => void)[] = []
    using batch = new Works(this.current)
    try {
      this.beginTransaction()
      for (const write of asynchronousFirst(writes)) {
        this.database.run('SAVEPOINT apart')
        const effects = batch.effects.length
        try {
          const result = write.isAsync ? await batch.run(write.work) : batch.runNow(write.work)
          this.database.run('RELEASE apart')
          settle.push(() => write.resolve(result))
        } catch (error) {
          // SQLite itself rolls back the whole transaction on a full disk or an I/O error.
          if (!this.database.inTransaction) throw error
          this.database.run('ROLLBACK TO apart')
          this.database.run('RELEASE apart')
          batch.effects.length = effects
          settle.push(() => write.reject(this.translate(error)))
        }
      }
      this.commit()
    } catch {
      this.rollBack()
      // A work that frees or needs little space may succeed where the batch doesn't.
      for (const write of writes) {
        await this.commitAlone(write)
        // Lets callers that were just answered read before the next transaction begins.
        await yieldToEventLoop()
      }
      return
    }
    for (const done of settle) done()
    this.committed(batch, writes.length)
  }

  private async commitAlone(write: PendingWrite): Promise<void> {
    try {
      this.beginTransaction()
    } catch (error) {
      this.end()
      write.reject(this.failed(error))
      return
    }
    await this.commitBatch([write])
  }

  /** An error of the work itself concerns its caller; SQLite's errors mean trouble for all. */
  private failed(error: unknown): unknown {
    const told = this.translate(error)
    if (told !== error) this.failure = told
    return told
  }

  /** Whatever state the failure left, the next write can begin. */
  private rollBack(): void {
    try {
      if (this.database.inTransaction) this.database.run('ROLLBACK')
    } catch {
      // The original failure gives the reason; the writes are rolled back all the same.
    }
    this.end()
  }
}

function asynchronousFirst(writes: PendingWrite[]): PendingWrite[] {
  return [...writes.filter(write => write.isAsync), ...writes.filter(write => !write.isAsync)]
}
