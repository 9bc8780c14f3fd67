/**
 * One program that runs as our child for as long as we do: started again when it ends, with growing waits; its output in our log; stopped with us.
 *
 * There is never more than one of it. What a killed run of ours left behind is found by the record in its folder (process id and command) and stopped
 * before a new one starts.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { linesOf } from './lines.ts'
import { isRunning } from './process-table.ts'

export interface SupervisedProcessOptions {
  /** Goes before each line of its output. */
  name: string
  /** Program and arguments. */
  command: readonly string[]
  /** Where it runs, made when missing; its record lies here as well. */
  dir: string
  /** All that it gets of our environment. */
  environment: Record<string, string>
  clock: Clock
  logger: Logger
  /** A number in [0, 1), for tests. */
  random?: () => number
}

/** What is known of the process, also to others than its parent. */
export interface ProcessRecord {
  /** Null while it isn't running. */
  pid: number | null
  command: string[]
  /** How often it was started again since we run. */
  restarts: number
  /** How it ended last: `exit 1`, `SIGKILL`, or why it couldn't be started. Null when it never ended. */
  lastExit: string | null
}

const RESTART_BACKOFF = { baseMs: 1_000, capMs: 60_000 }
/** After running this long the next end is a first failure again, in milliseconds. */
const GOOD_RUN_MS = 60_000
/** Between asking it to stop and ending it, in milliseconds. */
const STOP_GRACE_MS = 3_000
/** How often a process that isn't our child is looked at while it stops, in milliseconds. */
const ORPHAN_LOOK_MS = 50
/** Name of the record in the process's folder. */
export const RECORD_FILE = 'process.json'

const recordSchema = z.object({
  pid: z.number().int().positive().nullable(),
  command: z.array(z.string()),
  restarts: z.number().int(),
  lastExit: z.string().nullable(),
})

export class SupervisedProcess {
  private record: ProcessRecord

  constructor(private readonly options: SupervisedProcessOptions) {
    this.record = { pid: null, command: [...options.command], restarts: 0, lastExit: null }
  }

  get state(): Readonly<ProcessRecord> {
    return this.record
  }

  /** Runs it until the signal aborts; resolves when it is gone. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, dir, logger, name, random } = this.options
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    await this.stopOrphan()
    for (let failures = 0; !signal.aborted; ) {
      const startedAt = clock.steady()
      const ended = await this.runOnce(signal)
      if (signal.aborted) break
      failures = clock.steady() - startedAt >= GOOD_RUN_MS ? 1 : failures + 1
      const waitMs = backoffMs(failures, RESTART_BACKOFF, random)
      logger.error(`[${name}] ended (${ended}); starting it again in ${(waitMs / 1000).toFixed(1)} s`)
      await clock.sleep(waitMs, signal)
      if (!signal.aborted) this.note({ restarts: this.record.restarts + 1 })
    }
    rmSync(join(dir, RECORD_FILE), { force: true })
  }

  /** @returns how it ended */
  private async runOnce(signal: AbortSignal): Promise<string> {
    const { command, dir, environment, logger, name } = this.options
    let child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
    try {
      child = Bun.spawn([...command], { cwd: dir, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    } catch (error) {
      const ended = error instanceof Error ? error.message : String(error)
      this.note({ pid: null, lastExit: ended })
      return ended
    }
    this.note({ pid: child.pid })
    logger.info(`[${name}] started (process ${child.pid})`)
    const stop = () => void this.stopChild(child)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const read = new AbortController()
    void Promise.all([this.copy(child.stdout), this.copy(child.stderr)]).finally(() => read.abort())
    await child.exited
    signal.removeEventListener('abort', stop)
    const ended = child.signalCode === null ? `exit ${child.exitCode}` : String(child.signalCode)
    this.note({ pid: null, lastExit: ended })
    // What it started itself may hold its output open; that isn't waited for.
    await this.options.clock.sleep(STOP_GRACE_MS, read.signal)
    return ended
  }

  private async stopChild(child: Bun.Subprocess): Promise<void> {
    child.kill('SIGTERM')
    const gone = new AbortController()
    void child.exited.then(() => gone.abort())
    await this.options.clock.sleep(STOP_GRACE_MS, gone.signal)
    if (!gone.signal.aborted) child.kill('SIGKILL')
  }

  private async copy(stream: ReadableStream<Uint8Array>): Promise<void> {
    const { logger, name } = this.options
    for await (const line of linesOf(stream)) logger[levelOf(line)](`[${name}] ${line}`)
  }

  /** Ends what an earlier run of ours left running. */
  private async stopOrphan(): Promise<void> {
    const { clock, dir, logger, name } = this.options
    const left = readProcessRecord(dir)
    if (left?.pid == null || !isRunning(left.pid, left.command)) return
    const { pid, command } = left
    logger.warn(`[${name}] process ${pid} of an earlier run is still there; stopping it`)
    const deadline = clock.steady() + STOP_GRACE_MS
    for (let signal: NodeJS.Signals = 'SIGTERM'; isRunning(pid, command); ) {
      kill(pid, signal)
      await clock.sleep(ORPHAN_LOOK_MS)
      if (clock.steady() >= deadline) signal = 'SIGKILL'
    }
  }

  private note(change: Partial<ProcessRecord>): void {
    const { dir, logger, name } = this.options
    this.record = { ...this.record, ...change }
    try {
      writeFileSync(join(dir, RECORD_FILE), `${JSON.stringify(this.record)}\n`, { mode: 0o600 })
    } catch (error) {
      // A full disk, or a folder that was taken away, must not leave the program to itself.
      logger.warn({ err: error }, `[${name}] its process can't be noted in ${dir}`)
    }
  }
}

/** The record that the process's parent keeps in its folder; null when there is none, so when nobody runs it. */
export function readProcessRecord(dir: string): ProcessRecord | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(join(dir, RECORD_FILE), 'utf8')))
  } catch {
    return null
  }
}

/** Whether the process is there that a record in this folder speaks of. */
export function isRecordedProcessRunning(dir: string): boolean {
  const record = readProcessRecord(dir)
  return record?.pid != null && isRunning(record.pid, record.command)
}

/** Of the lines that mautrix bridges print (`<time> WRN …`), so that LOG_LEVEL means the same for them. */
function levelOf(line: string): 'debug' | 'info' | 'warn' | 'error' {
  const [, level, text = ''] = /^\S+ (TRC|DBG|INF|WRN|ERR|FTL|PNC) (.*)/.exec(line) ?? []
  switch (level) {
    case undefined:
      return 'info'
    case 'INF':
      // A line for each request that we make, every few seconds.
      return text.startsWith('Access ') ? 'debug' : 'info'
    case 'WRN':
      return 'warn'
    case 'TRC':
    case 'DBG':
      return 'debug'
    default:
      return 'error'
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}
