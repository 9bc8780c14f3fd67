/** Runs the program under test, again and again on the same port and data. */
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'

export interface ProgramOptions {
  command: string[]
  directory: string
  env: Record<string, string>
}

/** docs/operations.md promises that a stop takes at most ten seconds. */
const STOP_WITHIN_MS = 10_000
const START_DEADLINE_MS = 60_000

export class GatewayUnderTest implements AsyncDisposable {
  starts = 0
  /** Failures of the process itself. */
  readonly failures: string[] = []
  /** Failed starts, such as while the disk was full. */
  refusedStarts = 0
  private process: GatewayProcess | undefined

  constructor(private readonly options: ProgramOptions) {}

  /** Null while no process runs. */
  get pid(): number | null {
    return this.process?.pid ?? null
  }

  /** Resolves when healthy. @param patient retries failed starts, as a service manager does */
  async start(patient = false): Promise<void> {
    const deadline = performance.now() + START_DEADLINE_MS
    for (;;) {
      try {
        const started = await spawnGateway({ ...this.options, deadlineMs: 30_000 })
        this.process = started
        this.starts++
        void started.exited.then(code => {
          if (this.process === started)
            this.failures.push(`it ended by itself (${code}): ${started.output().slice(-2_000)}`)
        })
        return
      } catch (error) {
        if (!patient || performance.now() > deadline) throw error
        this.refusedStarts++
        await Bun.sleep(300)
      }
    }
  }

  async kill(): Promise<void> {
    const ended = this.process
    this.process = undefined
    await ended?.kill()
  }

  async terminate(): Promise<void> {
    const ended = this.process
    this.process = undefined
    if (!ended) return
    const startedAt = performance.now()
    const code = await ended.stop()
    const tookMs = performance.now() - startedAt
    if (code !== 0)
      this.failures.push(`SIGTERM ended with exit code ${code}: ${ended.output().slice(-2_000)}`)
    if (tookMs > STOP_WITHIN_MS) this.failures.push(`SIGTERM took ${Math.round(tookMs)} ms`)
  }

  /** Output of the current process. */
  output(): string {
    return this.process?.output() ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.process
    this.process = undefined
    await ended?.[Symbol.asyncDispose]()
  }
}
