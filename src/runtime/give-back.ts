/** What a worker does with a lane that it couldn't settle, as after a write that failed (a full disk). */
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'

/** Between tries. */
const RETRY = { baseMs: 100, capMs: 2_000 }

/**
 * Tries to give a lane back until that works or the worker is to stop: otherwise nobody would take
 * it again before the next start. Returns after the abort, too; the next start finds the rest.
 */
export async function keepGivingBack(
  giveBack: () => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 1; !signal.aborted; failures++) {
    await clock.sleep(backoffMs(failures, RETRY), signal)
    const isBack = await giveBack().then(
      () => true,
      () => false,
    )
    if (isBack) return
  }
}
