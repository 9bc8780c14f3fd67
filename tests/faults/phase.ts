/** A phase's parameters, and helpers that run its load and faults side by side. */
import type { Random } from './random.ts'

export interface Phase {
  /** The program under test; `serve` is appended. */
  command: string[]
  random: Random
  /** Length of the load under faults, in milliseconds. */
  durationMs: number
  isQuick: boolean
  /** Prints progress. */
  tell(line: string): void
}

/** Counts injected faults. */
export class Injected {
  readonly counts: Record<string, number> = {}

  add(kind: string, times = 1): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + times
  }
}

/** Repeats `work`, with random pauses, until the signal aborts. */
export async function steadily(
  signal: AbortSignal,
  random: Random,
  [leastMs, mostMs]: readonly [number, number],
  work: () => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    await pause(random.between(leastMs, mostMs), signal)
    if (!signal.aborted) await work()
  }
}

/** @returns early when the signal aborts */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
  clearTimeout(timer)
}

/** Adds up counts by name. */
export function added(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const one of counts) {
    for (const [name, count] of Object.entries(one)) total[name] = (total[name] ?? 0) + count
  }
  return total
}
