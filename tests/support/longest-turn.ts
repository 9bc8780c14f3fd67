/**
 * Measures the longest turn of this process's event loop: no client's request may hold up others.
 * The gateway under test runs in this process (`testGateway`, or an app's handler), so the test's
 * own work counts: build large bodies before, leave large answers unparsed (`arrayBuffer()`).
 */
import { expect } from 'bun:test'
import { readFileSync } from 'node:fs'

/** No request, push or start may hold the event loop for longer, in milliseconds. */
const MOST_TURN_MS = 50

const NANOSECONDS_PER_MS = 1e6
/** Least length of a quiet run, in milliseconds. */
const LEAST_QUIET_MS = 100
const MOST_QUIET_MS = 1_000
/** As long as `work` is too long. */
const MOST_ROUNDS = 8

interface TurnOptions {
  /**
   * Times `work` runs at least, numbered from 0. The least counts: a long turn of `work` is in
   * each.
   */
  rounds?: number
  /** Milliseconds allowed beyond a quiet run. */
  mostMs?: number
}

/** @returns the longest turn in milliseconds while `work` runs, the least of all rounds */
export async function longestTurn(
  work: (round: number) => unknown,
  { rounds = 3 }: Pick<TurnOptions, 'rounds'> = {},
): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) least = Math.min(least, await turnOf(() => work(round)))
  return least
}

/** Fails when `work` holds the event loop for over `mostMs` longer than a quiet run does. */
export async function expectShortTurns(
  work: (round: number) => unknown,
  { rounds = 3, mostMs = MOST_TURN_MS }: TurnOptions = {},
): Promise<void> {
  const startedAt = performance.now()
  let longestMs = await longestTurn(work, { rounds })
  const tookMs = (performance.now() - startedAt) / rounds
  const quietMs = Math.min(MOST_QUIET_MS, Math.max(LEAST_QUIET_MS, tookMs))
  const quietTurnMs = await longestTurn(() => Bun.sleep(quietMs), { rounds })
  // A collector that came in each round says nothing of the work. Some works can run only once.
  const mostRounds = rounds > 1 ? MOST_ROUNDS : rounds
  for (let round = rounds; longestMs >= quietTurnMs + mostMs && round < mostRounds; round++)
    longestMs = Math.min(longestMs, await longestTurn(() => work(round), { rounds: 1 }))
  expect(longestMs, `longest turn in ms; ${quietTurnMs.toFixed(1)} in a quiet run`).toBeLessThan(
    quietTurnMs + mostMs,
  )
}

async function turnOf(work: () => unknown): Promise<number> {
  // Memory allocated before must not be collected during the work.
  Bun.gc(true)
  const watch = new TurnWatch()
  // The first sample starts the interval that the work falls into.
  await Bun.sleep(5)
  watch.longestMs = 0
  try {
    await work()
    // The timer after a turn measures it.
    await Bun.sleep(5)
  } finally {
    watch.stop()
  }
  return watch.longestMs
}

/**
 * Measures processor time from one turn's timer to the next's. By the clock, a turn on a busy
 * machine would include the time that other processes have the processor or the disk.
 */
class TurnWatch {
  longestMs = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    this.look(usedMs())
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  private look(before: number): void {
    this.timer = setTimeout(() => {
      const now = usedMs()
      this.longestMs = Math.max(this.longestMs, now - before)
      this.look(now)
    }, 1)
  }
}

/** Processor time of this thread in milliseconds (Linux); elsewhere the time of day. */
function usedMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / NANOSECONDS_PER_MS
  } catch {
    return performance.now()
  }
}
