/**
 * Writes the log's lines. Their reader may be slow, full or gone, and no write waits for it. Lines
 * it doesn't take wait in bounded memory; lines that don't fit are dropped and counted.
 */
import { writeSync } from 'node:fs'

/** Lines of one turn go out together, at the latest at this many characters. */
const MAX_TURN_CHARS = 8 * 1024
/** Characters that may wait while the reader is busy: some hundred lines. */
const MAX_WAITING_CHARS = 256 * 1024
/** Pause between tries, in milliseconds; doubled as long as nothing gets through. */
const MIN_WAIT_MS = 10
const MAX_WAIT_MS = 1_000
/** How long an ending process waits for the reader to take the last lines, in milliseconds. */
const EXIT_PATIENCE_MS = 200
const EXIT_STEP_MS = 5

export interface LineOutputOptions {
  /** Called with the number of dropped lines before the next line gets through. May write one. */
  onDropped(count: number): void
  /** Writes what fits without waiting. @returns bytes written. @throws Error with `code` if none */
  put?(data: string | Buffer): number
  /** @param afterMs milliseconds; 0 is the end of this turn of the event loop */
  later?(task: () => void, afterMs: number): void
}

/**
 * Writes lines in order, those of one turn at once: a write for each would cost more than the rest.
 * A kill loses the lines of one turn at most; a process that ends by itself calls `end`.
 */
export class LineOutput {
  private readonly put: (data: string | Buffer) => number
  private readonly later: (task: () => void, afterMs: number) => void
  private readonly onDropped: (count: number) => void
  /** Lines not yet written at all. */
  private held = ''
  /** Rest of a line that was written in part; it goes out first, or the line would stay torn. */
  private torn: Buffer | undefined
  private dropped = 0
  private isFlushAhead = false
  /** 0 while everything gets through. */
  private waitMs = 0

  constructor({ onDropped, put = putOnStandardError(), later = onEventLoop }: LineOutputOptions) {
    this.onDropped = onDropped
    this.put = put
    this.later = later
  }

  /** @param line with its newline; it is written, kept or dropped without waiting */
  write(line: string): void {
    // After the first dropped line none is kept, so that the count stands where lines are missing.
    if (this.dropped > 0 || this.held.length + line.length > MAX_WAITING_CHARS) {
      this.dropped++
      return
    }
    this.held += line
    if (this.waitMs === 0 && this.held.length > MAX_TURN_CHARS) this.drain()
    this.flushLater(this.waitMs)
  }

  /** Last chance for waiting lines: blocks for 200 ms at most, and only for a slow reader. */
  end(): void {
    const deadline = performance.now() + EXIT_PATIENCE_MS
    while (this.drain() === 'EAGAIN' && performance.now() < deadline) Bun.sleepSync(EXIT_STEP_MS)
    this.tellDropped()
    this.drain()
  }

  private flushLater(afterMs: number): void {
    if (this.isFlushAhead) return
    this.isFlushAhead = true
    this.later(this.flush, afterMs)
  }

  private readonly flush = () => {
    this.isFlushAhead = false
    const before = this.left
    if (this.drain() === undefined) {
      this.waitMs = 0
      this.tellDropped()
      return
    }
    const isMoving = this.left < before
    this.waitMs = isMoving ? MIN_WAIT_MS : Math.min(Math.max(2 * this.waitMs, MIN_WAIT_MS), MAX_WAIT_MS)
    this.flushLater(this.waitMs)
  }

  private get left(): number {
    return this.held.length + (this.torn?.length ?? 0)
  }

  /** @returns undefined when nothing is left, else the system's error code */
  private drain(): string | undefined {
    try {
      while (this.left > 0) {
        const taken = this.putNext()
        if (taken === 0) return 'EAGAIN'
      }
      return undefined
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error)
    }
  }

  private putNext(): number {
    if (this.torn) {
      const taken = this.put(this.torn)
      this.torn = taken < this.torn.length ? this.torn.subarray(taken) : undefined
      return taken
    }
    const lines = this.held
    const taken = this.put(lines)
    this.held = ''
    if (taken < Buffer.byteLength(lines)) this.torn = Buffer.from(lines).subarray(taken)
    return taken
  }

  /** Waits until nothing is left, or a second count would come before lines that were kept. */
  private tellDropped(): void {
    const count = this.dropped
    if (count === 0 || this.left > 0) return
    this.dropped = 0
    this.onDropped(count)
  }
}

function putOnStandardError(): (data: string | Buffer) => number {
  // Reading process.stderr sets its descriptor to O_NONBLOCK, also for pipes and sockets.
  const { fd } = process.stderr
  return data => (typeof data === 'string' ? writeSync(fd, data) : writeSync(fd, data))
}

function onEventLoop(task: () => void, afterMs: number): void {
  if (afterMs === 0) setImmediate(task)
  else setTimeout(task, afterMs).unref()
}
