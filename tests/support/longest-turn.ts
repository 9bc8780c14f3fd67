/**
 * How long one turn of this process's event loop lasts while something runs: for tests that nothing a client asks may hold up everybody
 * else. The gateway under test runs in this process (`liveGateway`, or an app's own handler), so what the test itself does in a turn
 * counts, too: it should build large bodies beforehand and leave large answers unparsed (`await response.arrayBuffer()`).
 */
import { expect } from 'bun:test'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** No request, push or start may hold the event loop for longer, in milliseconds. */
const MOST_TURN_MS = 50

const NANOSECONDS_PER_MS = 1e6
/** How long a quiet run is watched, in milliseconds. */
const LEAST_QUIET_MS = 100
const MOST_QUIET_MS = 1_000

interface TurnOptions {
  /** How often the work is done, numbered from 0. The least of all rounds counts: a turn that the work takes it takes in each, other processes don't. */
  rounds?: number
  /** What is allowed beyond a quiet run, in milliseconds. */
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

/** Fails when `work` holds the event loop for longer than a quiet run of the same process and `mostMs` beyond. */
export async function expectShortTurns(
  work: (round: number) => unknown,
  { rounds = 3, mostMs = MOST_TURN_MS }: TurnOptions = {},
): Promise<void> {
  const startedAt = performance.now()
  const longestMs = await longestTurn(work, { rounds })
  const tookMs = (performance.now() - startedAt) / rounds
  const quietMs = Math.min(MOST_QUIET_MS, Math.max(LEAST_QUIET_MS, tookMs))
  const quietTurnMs = await longestTurn(() => Bun.sleep(quietMs), { rounds })
  expect(longestMs, `longest turn in ms; ${quietTurnMs.toFixed(1)} in a quiet run`).toBeLessThan(
    quietTurnMs + mostMs,
  )
}

async function turnOf(work: () => unknown): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  // What was allocated before isn't this work's.
  Bun.gc(true)
  await Bun.sleep(2)
  delays.enable()
  // The first sample begins the interval that the work is to be in.
  await Bun.sleep(5)
  delays.reset()
  try {
    await work()
    // A turn is seen by the timer that comes after it.
    await Bun.sleep(5)
  } finally {
    delays.disable()
  }
  return delays.max / NANOSECONDS_PER_MS
}
