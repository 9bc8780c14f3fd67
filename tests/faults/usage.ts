/** What the process under test uses while it runs: memory and open files, sampled, to see whether they grow. */
import { readdirSync } from 'node:fs'
import { residentBytes } from '../bench/usage.ts'

export interface UsageSummary {
  /** Of the second and the last third of the time, medians. */
  residentMiB: { before: number; after: number }
  openFiles: { before: number; after: number }
  seconds: number
}

const SAMPLE_MS = 500
const MIB = 1024 * 1024

export class UsageWatch {
  private readonly samples: { residentBytes: number; openFiles: number }[] = []
  private readonly timer: ReturnType<typeof setInterval>

  constructor(pid: number) {
    this.timer = setInterval(() => {
      try {
        this.samples.push({
          residentBytes: residentBytes(pid),
          openFiles: readdirSync(`/proc/${pid}/fd`).length,
        })
      } catch {
        // It has ended; that is somebody else's matter.
      }
    }, SAMPLE_MS)
  }

  /** The first third is left out: caches fill and code is compiled. */
  stop(): UsageSummary {
    clearInterval(this.timer)
    const third = Math.floor(this.samples.length / 3)
    const [second, last] = [this.samples.slice(third, 2 * third), this.samples.slice(2 * third)]
    const mib = (samples: typeof second) =>
      Math.round(middle(samples.map(sample => sample.residentBytes)) / MIB)
    const files = (samples: typeof second) => middle(samples.map(sample => sample.openFiles))
    return {
      residentMiB: { before: mib(second), after: mib(last) },
      openFiles: { before: files(second), after: files(last) },
      seconds: Math.round((this.samples.length * SAMPLE_MS) / 1000),
    }
  }
}

/** Growth from the second third of a steady load to the last that is none: garbage comes and goes. */
const MEMORY_SLACK = { share: 0.15, mib: 24 }
const FILES_SLACK = 12

/** @returns what grows, one line each */
export function growth({ residentMiB, openFiles }: UsageSummary): string[] {
  const { before } = residentMiB
  const most = Math.max(before * (1 + MEMORY_SLACK.share), before + MEMORY_SLACK.mib)
  return [
    ...(residentMiB.after > most ? [`memory grows: ${JSON.stringify(residentMiB)} MiB`] : []),
    ...(openFiles.after > openFiles.before + FILES_SLACK
      ? [`open files grow: ${JSON.stringify(openFiles)}`]
      : []),
  ]
}

function middle(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}
