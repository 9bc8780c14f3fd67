/** The program under test: processes on the same port and data, one after the other, which end when they are told to and not else. */
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'

export interface ProgramOptions {
  command: string[]
  directory: string
  env: Record<string, string>
}

/** A stop must be over by then (docs/operations.md promises ten seconds). */
const STOP_WITHIN_MS = 10_000
const START_DEADLINE_MS = 60_000

export class GatewayUnderTest implements AsyncDisposable {
  starts = 0
  /** What went wrong with the process itself. */
  readonly failures: string[] = []
  /** Starts that were refused, as while the disk was full. */
  refusedStarts = 0
  private process: GatewayProcess | undefined

  constructor(private readonly options: ProgramOptions) {}

  /** Null while none runs. */
  get pid(): number | null {
    return this.process?.pid ?? null
  }

  /** Resolves when it is healthy. @param patient tries again when it can't start, as a service manager does */
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

  /** What the process of now has printed. */
  output(): string {
    return this.process?.output() ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.process
    this.process = undefined
    await ended?.[Symbol.asyncDispose]()
  }
}
