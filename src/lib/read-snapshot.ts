/**
 * Reads between two commits share one read transaction. A read by itself takes and gives back the log's read lock, which costs several
 * times what the read does; under load, commits follow each other so closely that most reads fall between two.
 */
import type { Database, Statement } from 'bun:sqlite'

export class ReadSnapshot {
  private readonly begin: Statement
  private readonly commit: Statement
  private isOpen = false
  private renewed = false
  private timer: ReturnType<typeof setTimeout> | undefined

  /** @param maxIdleMs how long after the last commit it may go on: as long, what another process writes isn't seen */
  constructor(
    private readonly database: Database,
    private readonly maxIdleMs: number,
  ) {
    this.begin = database.prepare('BEGIN')
    this.commit = database.prepare('COMMIT')
  }

  /** From now on reads see what is committed now. It takes hold at the first of them. */
  open(): void {
    this.begin.run()
    this.isOpen = true
    this.renewed = true
    this.timer ??= this.startTimer()
  }

  /** Must come before anything that begins a transaction of its own. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    // A read that met an I/O error has ended the transaction already.
    if (this.database.inTransaction) this.commit.run()
  }

  /** Ends it for good, before the database is closed. */
  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.end()
    this.begin.finalize()
    this.commit.finalize()
  }

  private startTimer(): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.timer = undefined
      if (this.renewed) {
        this.renewed = false
        this.timer = this.startTimer()
      } else this.end()
    }, this.maxIdleMs)
    timer.unref()
    return timer
  }
}
