/** Waits for a homeserver's rate limit to pass, within bounds. */
import type { Clock } from '../lib/clock.ts'
import { asGatewayError, rateLimitMs } from './http-api.ts'

/**
 * Does `work` again after a rate limit, as long as the wait the homeserver asks for is within the patience.
 * @param what completes "the homeserver refused to …"
 * @param patienceMs in all; 0: the caller waits by itself
 * @throws GatewayError whatever `work` throws, with retryAfterS after a rate limit
 */
export async function patiently<T>(
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
