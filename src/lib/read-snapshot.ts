/**
 * Lets reads between two commits share one read transaction. Taking and releasing the WAL's read
 * lock costs several times what a read does, and under load most reads fall between two commits.
 */
import type { Database, Statement } from 'bun:sqlite'

export class ReadSnapshot {
  private readonly begin: Statement
  private readonly commit: Statement
  private isOpen = false
  private renewed = false
  private timer: ReturnType<typeof setTimeout> | undefined

  /** @param maxIdleMs how long it may outlast a commit, hiding other processes' writes */
  constructor(
    private readonly database: Database,
    private readonly maxIdleMs: number,
  ) {
    this.begin = database.prepare('BEGIN')
    this.commit = database.prepare('COMMIT')
  }

  /** From now on reads see the current commit. The first read starts the snapshot. */
  open(): void {
    this.begin.run()
    this.isOpen = true
    this.renewed = true
    this.timer ??= this.startTimer()
  }

  /** Call it before anything that begins its own transaction. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    // A read that met an I/O error has already ended the transaction.
    if (this.database.inTransaction) this.commit.run()
  }

  /** Ends it for good. Call it before closing the database. */
  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.end()
    this.begin.finalize()
    this.commit.finalize()
  }

  private startTimer(): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.timer = this.renewed ? this.startTimer() : undefined
      if (!this.renewed) this.end()
      this.renewed = false
    }, this.maxIdleMs)
    return timer.unref()
  }
}
