/**
 * Where the log's lines go. Whoever takes them may be slow, full or gone: no write ever waits for it. What isn't taken is kept in bounded room
 * and tried again; lines that don't fit are dropped and counted, so that a log nobody can take stops nothing and fills no memory.
 */
import { writeSync } from 'node:fs'

/** Lines of one turn of the event loop go out together, at the latest at so many characters. */
const MAX_TURN_CHARS = 8 * 1024
/** What may wait for a log that takes nothing, in characters: some hundred lines of a moment in which its reader is busy. */
const MAX_WAITING_CHARS = 256 * 1024
/** Between tries at a log that takes nothing, in milliseconds: doubled as long as nothing at all gets through. */
const MIN_WAIT_MS = 10
const MAX_WAIT_MS = 1_000
/** So long an ending process waits for a reader to take the last lines, in milliseconds. */
const EXIT_PATIENCE_MS = 200
const EXIT_STEP_MS = 5

export interface LineOutputOptions {
  /** Called when lines get through again, before any later line, with how many were dropped. It may write one. */
  onDropped(count: number): void
  /** Takes what it can at once and never waits. @returns the bytes that it took. @throws Error with `code` when it took none */
  put?(data: string | Buffer): number
  /** @param afterMs milliseconds; 0 is the end of this turn of the event loop */
  later?(task: () => void, afterMs: number): void
}

/**
 * Writes lines in order. A write for each would cost more than all else of a line, so those of one turn of the event loop are one. A kill at any
 * instant loses the lines of that turn at most; a process that ends by itself calls `end`.
 */
export class LineOutput {
  private readonly put: (data: string | Buffer) => number
  private readonly later: (task: () => void, afterMs: number) => void
  private readonly onDropped: (count: number) => void
  /** Lines of which nothing is written yet. */
  private held = ''
  /** What is missing of lines that were taken in part: first of all that goes out, or a line would stay torn. */
  private torn: Buffer | undefined
  private dropped = 0
  private isFlushAhead = false
  /** 0 while all gets through. */
  private waitMs = 0

  constructor({ onDropped, put = putOnStandardError(), later = onEventLoop }: LineOutputOptions) {
    this.onDropped = onDropped
    this.put = put
    this.later = later
  }

  /** @param line with its newline; it is written, kept or dropped, and never waited for */
  write(line: string): void {
    // After the first that is dropped none is kept: the number told later then stands where they are missing.
    if (this.dropped > 0 || this.held.length + line.length > MAX_WAITING_CHARS) {
      this.dropped++
      return
    }
    this.held += line
    if (this.waitMs === 0 && this.held.length > MAX_TURN_CHARS) this.drain()
    this.flushLater(this.waitMs)
  }

  /** The last chance of what is left: a reader who is merely behind gets a moment, anything else doesn't. Blocks for 200 ms at most. */
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

  /** @returns undefined when nothing is left, else why: the system's code */
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

  /** Only while nothing is left, or a second number would come before lines that were kept. */
  private tellDropped(): void {
    const count = this.dropped
    if (count === 0 || this.left > 0) return
    this.dropped = 0
    this.onDropped(count)
  }
}

function putOnStandardError(): (data: string | Buffer) => number {
  // Asked for, process.stderr makes its descriptor one that doesn't block (O_NONBLOCK), a pipe's and a socket's too.
  const { fd } = process.stderr
  return data => (typeof data === 'string' ? writeSync(fd, data) : writeSync(fd, data))
}

function onEventLoop(task: () => void, afterMs: number): void {
  if (afterMs === 0) setImmediate(task)
  else setTimeout(task, afterMs).unref()
}
