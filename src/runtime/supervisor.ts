/** Runs the workers: restarts one that fails without the others, and stops all in time. */
import { messageOf } from '../domain/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import { type Clock, within } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Worker } from './worker.ts'

export interface WorkerHealth {
  name: string
  state: 'running' | 'restarting' | 'stopped'
  /** Message of the last failure, null when it never failed. */
  lastError: string | null
}

/** Kept short: a full disk ends for all workers at once. */
const RESTART_BACKOFF = { baseMs: 200, capMs: 5_000 }
/** After running this long the next failure is a first one again, in milliseconds. */
const GOOD_RUN_MS = 30_000

export class Supervisor {
  private readonly controller = new AbortController()
  private readonly loops: Promise<void>[] = []
  private readonly healths = new Map<string, WorkerHealth>()

  constructor(
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  start(worker: Worker): void {
    const health: WorkerHealth = { name: worker.name, state: 'running', lastError: null }
    this.healths.set(worker.name, health)
    this.loops.push(this.supervise(worker, health))
  }

  health(): WorkerHealth[] {
    return [...this.healths.values()]
  }

  /** Stops all workers within `timeoutMs`. @returns false when some were still busy */
  async stop(timeoutMs: number): Promise<boolean> {
    this.controller.abort()
    return (await within(this.clock, timeoutMs, Promise.all(this.loops))) !== undefined
  }

  private async supervise(worker: Worker, health: WorkerHealth): Promise<void> {
    const { signal } = this.controller
    for (let failures = 0; !signal.aborted; ) {
      const startedAt = this.clock.steady()
      try {
        health.state = 'running'
        await worker.run(signal)
        break
      } catch (error) {
        failures = this.clock.steady() - startedAt > GOOD_RUN_MS ? 1 : failures + 1
        health.state = 'restarting'
        health.lastError = messageOf(error)
        this.logger.error({ worker: worker.name, err: error, failures }, 'worker failed; restarting it')
        await this.clock.sleep(backoffMs(failures, RESTART_BACKOFF), signal)
      }
    }
    health.state = 'stopped'
  }
}
