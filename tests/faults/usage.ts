/** Samples the memory of the process under test, and the files it still holds at the end. */
import { residentBytes } from '../bench/usage.ts'
import { openFiles } from './open-files.ts'

export interface UsageSummary {
  /** Medians over the second and the last third of the load. */
  residentMiB: { before: number; after: number }
  /** The fewest under load and at rest: a leak stays open. Null where they can't be counted. */
  openFiles: { underLoad: number; atRest: number } | null
  seconds: number
}

const SAMPLE_MS = 500
const MIB = 1024 * 1024
/** By then, idle keep-alive connections are closed. */
const REST_DEADLINE_MS = 60_000

export class UsageWatch {
  private readonly resident: number[] = []
  private readonly files: number[] = []
  private readonly timer: ReturnType<typeof setInterval>

  /** @param port where the process listens */
  constructor(
    private readonly pid: number,
    private readonly port: number,
  ) {
    this.timer = setInterval(() => {
      try {
        this.resident.push(residentBytes(pid))
      } catch {
        return // It has ended; that is somebody else's matter.
      }
      this.files.push(openFiles(pid, port) ?? Number.NaN)
    }, SAMPLE_MS)
  }

  /** Call at the end of the load. */
  pause(): void {
    clearInterval(this.timer)
  }

  /** Call when the process is idle. */
  async conclude(): Promise<UsageSummary> {
    // Leaves out the first third: caches fill, code is compiled, and long-lived files get opened.
    const third = Math.floor(this.resident.length / 3)
    const mib = (samples: number[]) => Math.round(middle(samples) / MIB)
    return {
      residentMiB: {
        before: mib(this.resident.slice(third, 2 * third)),
        after: mib(this.resident.slice(2 * third)),
      },
      openFiles: await this.countedFiles(this.files.slice(third)),
      seconds: Math.round((this.resident.length * SAMPLE_MS) / 1000),
    }
  }

  private async countedFiles(underLoadFiles: number[]): Promise<UsageSummary['openFiles']> {
    const underLoad = Math.min(...underLoadFiles)
    const deadline = performance.now() + REST_DEADLINE_MS
    let atRest = openFiles(this.pid, this.port)
    while (atRest !== null && atRest > underLoad && performance.now() < deadline) {
      await Bun.sleep(SAMPLE_MS)
      atRest = openFiles(this.pid, this.port)
    }
    return atRest === null ? null : { underLoad, atRest }
  }
}

/** Growth that a steady load may show from its second third to its last: garbage comes and goes. */
const MEMORY_SLACK = { share: 0.15, mib: 24 }

/** @returns findings of growth, one line each */
export function growth({ residentMiB, openFiles: files }: UsageSummary): string[] {
  const { before } = residentMiB
  const most = Math.max(before * (1 + MEMORY_SLACK.share), before + MEMORY_SLACK.mib)
  return [
    ...(residentMiB.after > most ? [`memory grows: ${JSON.stringify(residentMiB)} MiB`] : []),
    ...(files && files.atRest > files.underLoad ? [`files stay open: ${JSON.stringify(files)}`] : []),
  ]
}

function middle(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}
