/**
 * Bounds the requests that one connection makes at once. Bun runs the handler for every request
 * that one read brings, thousands of them, before anybody else has a turn; after an answer with
 * `Connection: close` it drops the others.
 */
import type { SocketAddress } from 'bun'

/** More than any client pipelines that means well. */
export const MAX_PIPELINED = 32

/**
 * True for a request beyond the bound, which must be answered at once with `Connection: close` (RFC
 * 9112 section 9.6).
 */
export type PipeliningGuard = (client: Pick<SocketAddress, 'address' | 'port'>) => boolean

/** Listeners may share one: connections are told apart by the address and port of the client. */
export function createPipeliningGuard(maxRequests = MAX_PIPELINED): PipeliningGuard {
  /** Requests of each connection in this turn of the event loop. */
  const counts = new Map<string, number>()
  return ({ address, port }) => {
    if (counts.size === 0) setImmediate(() => counts.clear())
    const connection = `${address} ${port}`
    const count = (counts.get(connection) ?? 0) + 1
    counts.set(connection, count)
    return count > maxRequests
  }
}
