/**
 * The pace at which a device sends, so that a phone network doesn't take it for a machine: on average one message an interval, after
 * a burst. Generic cell rate algorithm: the whole state is one instant, when the device would be back at rest.
 */
import { jittered } from '../../lib/backoff.ts'

export interface Pace {
  /** Milliseconds between two messages on average; 0: no limit. */
  intervalMs: number
  /** Share of the interval that is random, 0 to 1. */
  jitter: number
  /** Messages that may go at once after a rest. */
  burst: number
}

/**
 * Gives the next slot.
 * @param restAt as returned for the slot before; 0 for a device that never sent
 * @returns when the message may go (now at the earliest), and the new `restAt`; both in milliseconds since the epoch
 */
export function nextSlot(
  pace: Pace,
  restAt: number,
  now: number,
  random: () => number = Math.random,
): { at: number; restAt: number } {
  const { intervalMs, jitter, burst } = pace
  const start = Math.max(restAt, now)
  const at = (from: number) => from - (burst - 1) * intervalMs
  // Within a burst there is no interval to vary: a short one would let one message more go at once, a long one a message less.
  const nextOneWaits = at(start + intervalMs) > now
  return {
    at: Math.max(now, at(start)),
    restAt: start + (nextOneWaits ? jittered(intervalMs, jitter, random) : intervalMs),
  }
}
