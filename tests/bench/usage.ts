/** A process's memory and processor time, as the kernel counts them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { median } from './statistics.ts'

const KIB = 1024

/** In bytes. @throws Error when the process is gone */
export function residentBytes(pid: number): number {
  if (existsSync('/proc/self/status')) return statusField(pid, 'VmRSS')
  const { stdout } = Bun.spawnSync(['ps', '-o', 'rss=', '-p', String(pid)])
  return Number(stdout.toString().trim()) * KIB
}

/** Waits `settleMs`, then returns the median of ten samples. */
export async function settledResidentBytes(pid: number, settleMs: number): Promise<number> {
  await Bun.sleep(settleMs)
  const samples: number[] = []
  for (let sample = 0; sample < 10; sample++) {
    samples.push(residentBytes(pid))
    await Bun.sleep(100)
  }
  return median(samples)
}

/** Watches a process. @returns a function that stops and gives the peak of memory, in bytes */
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

/** On Linux, 5 resets the mark to the current memory (proc_pid_clear_refs(5)). */
function resetHighWaterMark(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    return true
  } catch {
    return false
  }
}

/** USER_HZ is 100 on every Linux. */
const TICK_US = 10_000

/** Processor time of all threads in microseconds; unlike the clock, it ignores other processes. */
export function processorUs(pid: number): number {
  if (!existsSync('/proc/self/stat')) return Number.NaN
  // The name may have spaces. After it: state is field 3 of proc_pid_stat(5), utime 14, stime 15.
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
