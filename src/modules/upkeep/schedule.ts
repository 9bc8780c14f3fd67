/** Lets messages wait in their lanes once their `send_at` has come, by the clock as it is set. */
import type { Hears } from '../../domain/signals.ts'
import type { Clock } from '../../lib/clock.ts'
import { every, Nudge, type Worker } from '../../runtime/worker.ts'
import type { ScheduleRepository } from './schedule-repository.ts'

/** Messages that become due in one transaction. */
const BATCH = 100
/** Between looks that nothing asks for. */
const IDLE_MS = 60_000

export function createSchedule(parts: {
  schedule: ScheduleRepository
  signals: Hears<'scheduled' | 'clock-moved'>
  clock: Clock
}): Worker {
  const { schedule, signals, clock } = parts
  const nudge = new Nudge()
  signals.onAny(['scheduled', 'clock-moved'], () => nudge.nudge())

  /** @returns true when there is more to do now, else after how many milliseconds to look again */
  async function tick(): Promise<number | boolean> {
    const now = clock.now()
    if ((await schedule.queueDue(now, BATCH)) === BATCH) return true
    const nextAt = await schedule.nextAt(now)
    return nextAt === null ? IDLE_MS : Math.min(IDLE_MS, Math.max(1, nextAt - clock.now()))
  }

  return every('schedule', IDLE_MS, tick, { clock, nudge })
}
