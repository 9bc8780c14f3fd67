/** What a process uses of memory and processor, as the kernel counts it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { median } from './statistics.ts'

const KIB = 1024

/** In bytes. @throws Error when the process is gone */
export function residentBytes(pid: number): number {
  if (existsSync('/proc/self/status')) return statusField(pid, 'VmRSS')
  const { stdout } = Bun.spawnSync(['ps', '-o', 'rss=', '-p', String(pid)])
  return Number(stdout.toString().trim()) * KIB
}

/** Waits `settleMs`, then takes the median of a few samples. */
export async function settledResidentBytes(pid: number, settleMs: number): Promise<number> {
  await Bun.sleep(settleMs)
  const samples: number[] = []
  for (let sample = 0; sample < 10; sample++) {
    samples.push(residentBytes(pid))
    await Bun.sleep(100)
  }
  return median(samples)
}

/**
 * Watches a process until it is told to stop.
 * @returns gives the most memory that was resident meanwhile, in bytes
 */
export function watchPeak(pid: number): () => number {
  const hasHighWaterMark = resetHighWaterMark(pid)
  let peak = residentBytes(pid)
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(pid))
  }, 2)
  return () => {
    clearInterval(timer)
    return hasHighWaterMark ? Math.max(peak, statusField(pid, 'VmHWM')) : peak
  }
}

/** Linux: 5 sets the mark back to what is resident now (proc_pid_clear_refs(5)). */
function resetHighWaterMark(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    return true
  } catch {
    return false
  }
}

/** Hundredths of a second, on every Linux (USER_HZ). */
const TICK_US = 10_000

/** Microseconds of processor that a process has used in all its threads: unlike the time it took, no other process's doing. */
export function processorUs(pid: number): number {
  if (!existsSync('/proc/self/stat')) return Number.NaN
  // After the name, which may have spaces: state is field 3 of proc_pid_stat(5), utime 14, stime 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

function statusField(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kib === undefined) throw new Error(`process ${pid} says nothing of ${name}`)
  return Number(kib) * KIB
}
