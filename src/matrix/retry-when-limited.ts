/** Waits for a homeserver: until its rate limit passes, within bounds, or it answers again. */
import { GatewayError } from '../domain/errors.ts'
import { type BackoffOptions, backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { asGatewayError, rateLimitMs } from './http-api.ts'

/**
 * Does `work` again after a rate limit while the wait that the homeserver asks for fits.
 * @param what completes "the homeserver refused to …"
 * @param patienceMs in all; 0: the caller waits by itself
 * @throws GatewayError whatever `work` throws, with retryAfterS after a rate limit
 */
export async function retryWhenLimited<T>(
  clock: Clock,
  what: string,
  patienceMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = clock.steady() + patienceMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const waitMs = rateLimitMs(error)
      if (waitMs === null || clock.steady() + waitMs > deadline) throw asGatewayError(error, what)
      await clock.sleep(Math.max(waitMs, 1))
    }
  }
}

/**
 * Until a loop asks again what it asks all the time.
 * @param error what the last request threw
 * @param failures how many have failed in a row, from 1
 * @returns milliseconds: a backoff, and no less than the homeserver asked for
 */
export function pauseAfter(error: unknown, failures: number, backoff: BackoffOptions): number {
  const hintMs = error instanceof GatewayError ? (error.retryAfterS ?? 0) * 1000 : 0
  return Math.max(hintMs, backoffMs(failures, backoff))
}
