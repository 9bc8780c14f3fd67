/**
 * One program that runs as our child for as long as we do. It is started again, with growing waits,
 * when it ends or no longer answers; its output goes to our log; it is stopped with us.
 *
 * There is never more than one of it. It begins a session of its own, so that anything it starts
 * (behind a wrapper, say) is known as part of it and ends with it. Processes that a killed run of
 * ours left behind are found by the record in its folder and ended before a new one starts.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf } from '../domain/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { linesOf } from './lines.ts'
import { OutputFile } from './output-file.ts'
import { outputLevels } from './output-levels.ts'
import { birthOf, runsCommand, sessionOf } from './process-table.ts'

export interface SupervisedProcessOptions {
  /** Goes before each line of its output. */
  name: string
  /** Program and arguments. */
  command: readonly string[]
  /** Where it runs, made when missing; its record lies here as well. */
  dir: string
  /** All that it gets of our environment. */
  environment: Record<string, string>
  /** Asked again and again while it runs: a program that stays silent is started again. */
  isAnswering(signal: AbortSignal): Promise<boolean>
  clock: Clock
  logger: Logger
  /** A number in [0, 1), for tests. */
  random?: () => number
}

const RESTART_BACKOFF = { baseMs: 1_000, capMs: 60_000 }
/** After running this long the next end is a first failure again, in milliseconds. */
const GOOD_RUN_MS = 60_000
/** Between asking it to stop and ending it, in milliseconds. */
const STOP_GRACE_MS = 3_000
/** How often processes are looked at while they stop, in milliseconds. */
const STOP_LOOK_MS = 50
/** How often it is asked for an answer, in milliseconds: until it has given one, and then. */
const FIRST_ANSWER_INTERVAL_MS = 1_000
const ANSWER_INTERVAL_MS = 10_000
/** How much is kept of what it printed without a level, in lines. */
const MAX_UNLEVELLED = 20
/**
 * Milliseconds that it may stay silent. Doubled each time until it answers: a program that takes
 * long to start, as when it brings a large database up to date, would never be done with it.
 */
const SILENCE = { baseMs: 60_000, capMs: 3_600_000 }
/** Name of the record in the process's folder. */
export const RECORD_FILE = 'process.json'

const recordSchema = z.object({
  /** Null while it isn't running. */
  pid: z.number().int().positive().nullable(),
  /** When that process began, see birthOf. Older versions didn't note it. */
  birth: z.string().nullable().default(null),
  command: z.array(z.string()),
  /** How often it was started again since we run. */
  restarts: z.number().int(),
  /** Last end: `exit 1`, `SIGKILL`, or why it couldn't start. Null when it never ended. */
  lastExit: z.string().nullable(),
})

/** The process's data, known to others than its parent, too. */
export type ProcessRecord = z.infer<typeof recordSchema>

export class SupervisedProcess {
  private record: ProcessRecord
  /** How often it was given up on since it answered last. */
  private mute = 0
  private hasAnswered = false
  /** The last lines that it printed without a level. */
  private unlevelled: string[] = []

  constructor(private readonly options: SupervisedProcessOptions) {
    this.record = { pid: null, birth: null, command: [...options.command], restarts: 0, lastExit: null }
  }

  get state(): Readonly<ProcessRecord> {
    return this.record
  }

  /** Runs it until the signal aborts; resolves when it is gone. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, dir, logger, name, random } = this.options
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    await this.endOrphan()
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
      child = Bun.spawn([...command], {
        cwd: dir,
        env: environment,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
    } catch (error) {
      const ended = messageOf(error)
      this.note({ pid: null, birth: null, lastExit: ended })
      return ended
    }
    this.hasAnswered = false
    this.unlevelled = []
    const birth = birthOf(child.pid)
    this.note({ pid: child.pid, birth })
    logger.info(`[${name}] started (process ${child.pid})`)
    const gone = new AbortController()
    const exited = child.exited.then(() => gone.abort())
    const read = new AbortController()
    void Promise.all([this.copy(child.stdout), this.copy(child.stderr)]).finally(() => read.abort())
    const silence = await this.watch(signal, gone.signal)
    const living = () => (birth === null ? [] : sessionOf(child.pid, birth))
    await this.endAll(living, gone.signal)
    await exited
    const ended = child.signalCode === null ? `exit ${child.exitCode}` : String(child.signalCode)
    this.note({ pid: null, birth: null, lastExit: silence ?? ended })
    // A program that has left the session may hold the output open; that isn't waited for.
    await this.options.clock.sleep(STOP_GRACE_MS, read.signal)
    if (!signal.aborted && !this.hasAnswered) {
      for (const line of this.unlevelled) logger.error(`[${name}] ${line}`)
    }
    return silence ?? ended
  }

  /**
   * Resolves when the process is gone or to be ended.
   * @returns why, when it is to be ended because it answers nothing
   */
  private async watch(stop: AbortSignal, gone: AbortSignal): Promise<string | null> {
    const { clock, isAnswering } = this.options
    const end = AbortSignal.any([stop, gone])
    for (let answeredAt = clock.steady(); !end.aborted; ) {
      if (await isAnswering(end)) {
        answeredAt = clock.steady()
        this.hasAnswered = true
        this.mute = 0
      }
      const silentMs = clock.steady() - answeredAt
      if (!end.aborted && silentMs >= Math.min(SILENCE.capMs, SILENCE.baseMs * 2 ** this.mute)) {
        this.mute += 1
        return `no answer for ${Math.round(silentMs / 1_000)} s`
      }
      await clock.sleep(this.hasAnswered ? ANSWER_INTERVAL_MS : FIRST_ANSWER_INTERVAL_MS, end)
    }
    return null
  }

  /**
   * Ends processes: asks each once, as a second time breaks off the work that some do at the end,
   * and ends by force those that remain after the grace.
   * @param gone aborts when the first of them is, to look again at once
   */
  private async endAll(living: () => number[], gone?: AbortSignal): Promise<void> {
    const { clock } = this.options
    const deadline = clock.steady() + STOP_GRACE_MS
    const asked = new Set<number>()
    for (let left = living(); left.length > 0; left = living()) {
      const isOver = clock.steady() >= deadline
      for (const pid of left) {
        if (isOver) kill(pid, 'SIGKILL')
        else if (!asked.has(pid)) kill(pid, 'SIGTERM')
        asked.add(pid)
      }
      await clock.sleep(STOP_LOOK_MS, gone?.aborted ? undefined : gone)
    }
  }

  /**
   * Logs lines without a level for debug, as people's messages may be in them. Such lines often
   * tell why a program fails to start: they are kept until it has answered, before which nobody's
   * messages reach it.
   */
  private async copy(stream: ReadableStream<Uint8Array>): Promise<void> {
    const { dir, logger, name } = this.options
    const levelOf = outputLevels()
    const file = new OutputFile(dir)
    for await (const line of linesOf(stream)) {
      const level = levelOf(line)
      logger[level ?? 'debug'](`[${name}] ${line}`)
      if (level === undefined ? !this.hasAnswered : level !== 'debug') file.write(line)
      if (level === undefined) this.unlevelled = [...this.unlevelled, line].slice(-MAX_UNLEVELLED)
    }
  }

  /** Ends what an earlier run of ours left running. */
  private async endOrphan(): Promise<void> {
    const { dir, logger, name } = this.options
    const record = readProcessRecord(dir)
    const left = processesOf(record, dir)
    if (left.length === 0) return
    logger.warn(`[${name}] process ${left[0]} of an earlier run is still there; stopping it`)
    await this.endAll(() => processesOf(record, dir))
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

/** Reads the record in the process's folder; null when nobody runs it. */
export function readProcessRecord(dir: string): ProcessRecord | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(join(dir, RECORD_FILE), 'utf8')))
  } catch {
    return null
  }
}

/**
 * The running processes that a record in this folder names, the first the one that the parent
 * started, unless it is gone.
 */
export function recordedProcesses(dir: string): number[] {
  return processesOf(readProcessRecord(dir), dir)
}

function processesOf(record: ProcessRecord | null, dir: string): number[] {
  if (record?.pid == null) return []
  const { pid, birth, command } = record
  if (birth !== null) return sessionOf(pid, birth, dir)
  // Older versions noted no birth, and their processes began no session.
  return runsCommand(pid, command) ? [pid] : []
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}
