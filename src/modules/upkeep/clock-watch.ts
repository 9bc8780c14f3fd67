/**
 * Looks after the process's clock. Somebody may set the machine's clock at any time: leases and
 * waits go on for as long as they had left, and the process then goes by the new time.
 */
import type { Emits } from '../../domain/signals.ts'
import type { Logger } from '../../lib/logger.ts'
import type { ProcessClock } from '../../lib/process-clock.ts'
import { every } from '../../runtime/worker.ts'
import type { TimekeepingRepository } from './clock-repository.ts'

export interface ClockWatchOptions {
  clock: ProcessClock
  repository: TimekeepingRepository
  signals: Emits<'clock-moved'>
  logger: Logger
}

const LOOK_MS = 1_000
/** Less is no step but drift, and matters to nothing that waits. */
const SMALLEST_STEP_MS = 2_000
/** How often it is noted that a process runs, in milliseconds. */
const NOTE_MS = 60_000

export function createClockWatch({ clock, repository, signals, logger }: ClockWatchOptions) {
  /** A step back that is adopted, and that what waits has yet to be told of. */
  let owedMs = 0
  let notedAt = Number.NEGATIVE_INFINITY

  async function look(): Promise<void> {
    const stepMs = Math.round(clock.stepMs())
    if (Math.abs(stepMs) < SMALLEST_STEP_MS) clock.adopt(stepMs)
    else await follow(stepMs)
    if (owedMs !== 0) await repay()
    else if (clock.steady() - notedAt >= NOTE_MS) await note()
  }

  /**
   * Moves rows first when the clock goes ahead, and the clock first when it goes back: none is due
   * early.
   */
  async function follow(stepMs: number): Promise<void> {
    logger.warn(
      { seconds: Math.round(stepMs / 1000) },
      'the clock was set; what waits goes on waiting as long as it had left',
    )
    if (stepMs < 0) {
      clock.adopt(stepMs)
      owedMs += stepMs
      return
    }
    await repository.move(stepMs, clock.now() + stepMs)
    clock.adopt(stepMs)
    notedAt = clock.steady()
    signals.emit('clock-moved')
  }

  /** Again and again until it is stored, if the disk is full. */
  async function repay(): Promise<void> {
    await repository.move(owedMs, clock.now())
    owedMs = 0
    notedAt = clock.steady()
    signals.emit('clock-moved')
  }

  async function note(): Promise<void> {
    await repository.note(clock.now())
    notedAt = clock.steady()
  }

  return {
    /**
     * Comes before anything else goes by the clock, which may have been set back since the last
     * run.
     */
    async begin(): Promise<void> {
      const seen = await repository.lastSeen()
      const now = clock.now()
      if (seen === null || now >= seen - SMALLEST_STEP_MS) return
      logger.warn(
        { seconds: Math.round((seen - now) / 1000) },
        'the clock was set back since the last run; what waits goes on waiting as long as it had left',
      )
      await repository.move(now - seen, now)
      notedAt = clock.steady()
    },

    worker: every('clock-watch', LOOK_MS, look, { clock }),
  }
}
