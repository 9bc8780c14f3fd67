/**
 * Slows down whoever guesses the tokens by which mounts let in: a homeserver's hs_token, a bridge's
 * as_token. They count with all other failed authentications, and a token that proved right before
 * waits for nobody: a stranger can't shut out the homeserver or a bridge. Nor can they shut out
 * themselves: a bridge that tries before it is attached tries one token, and that counts as one
 * guess.
 */

import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../domain/errors.ts'
import { bearerToken } from '../lib/bearer-token.ts'
import { createHmacHasher } from '../lib/sealing.ts'
import type { AuthAttempt, AuthAttempts } from './auth-attempts.ts'
import type { Mount } from './mounts.ts'

/** Enough of a digest to tell in the log whether it is one wrong token again and again, or many. */
const SHOWN_LENGTH = 8
/** How many wrong tokens are kept in mind. */
const MAX_TRIED = 10_000

/** @returns what answers a request to a mount in its stead */
export function createMountGuard(
  attempts: AuthAttempts,
): (mount: Mount, request: Request) => Promise<Response> | Response {
  const digest = createHmacHasher(randomBytes(32))
  /** Digests of tokens that were wrong. */
  const tried = new LRUCache<string, true>({ max: MAX_TRIED })

  return (mount, request) => {
    const token = mount.isRightToken && matrixTokenOf(request)
    if (!token) return mount.fetch(request)
    const digested = digest(`${mount.prefix}\n${token}`)
    if (tried.has(digested)) return mount.fetch(request)
    // A token may be an old one of theirs: the log gets a part of its digest.
    const credential = `${mount.prefix} ${digested.slice(0, SHOWN_LENGTH)}`
    const attempt: AuthAttempt = { request, kind: 'matrix', credential, proof: digested }
    try {
      attempts.admit(attempt)
    } catch (error) {
      if (error instanceof GatewayError) return limitExceeded(error)
      throw error
    }
    if (mount.isRightToken?.(token, request)) attempts.succeeded(attempt)
    else {
      attempts.failed(attempt)
      tried.set(digested, true)
    }
    // A wrong token is refused by the mount itself, in its own words.
    return mount.fetch(request)
  }
}

/** Where Matrix has access tokens (client-server API, "Using access tokens"). */
export function matrixTokenOf(request: Request): string | undefined {
  if (request.headers.has('authorization')) return bearerToken(request)
  const query = request.url.indexOf('?')
  if (query === -1) return undefined
  return new URLSearchParams(request.url.slice(query + 1)).get('access_token') ?? undefined
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#rate-limiting */
function limitExceeded({ message, retryAfterS = 1 }: GatewayError): Response {
  return Response.json(
    { errcode: 'M_LIMIT_EXCEEDED', error: message, retry_after_ms: Math.ceil(retryAfterS * 1_000) },
    { status: 429, headers: { 'retry-after': String(Math.ceil(retryAfterS)) } },
  )
}
