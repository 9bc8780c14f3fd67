/** Shared by the ways to make accounts at a homeserver. */
import { type ErrorCode, GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { retryWhenLimited } from '../retry-when-limited.ts'

/**
 * The one device of an account with its own access token, so that a new token replaces the old. The
 * Matrix Authentication Service wants at least ten of `A-Z a-z 0-9 -`.
 */
export const OWN_DEVICE_ID = 'MESHGATE-GATEWAY'
/** Shown to people who look at the account's devices. */
export const DEVICE_NAME = 'Meshgate'

/** Longest wait for a rate limit: somebody waits for the new token meanwhile. */
const PATIENCE_MS = 3_000

const REFUSALS_OF_US: readonly ErrorCode[] = ['forbidden', 'not_found']

/**
 * Does a call that makes an account or gives it a token.
 * @throws GatewayError homeserver_unavailable, storage_full or homeserver_error: the asking client
 * has no part in what the homeserver forbids us
 */
export async function provisioning<T>(clock: Clock, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await retryWhenLimited(clock, what, PATIENCE_MS, work)
  } catch (error) {
    if (!(error instanceof GatewayError) || !REFUSALS_OF_US.includes(error.code)) throw error
    throw new GatewayError('homeserver_error', error.message)
  }
}

/** @throws GatewayError homeserver_error when the account is of another server than we were told */
export function ofServer(userId: string, serverName: string): string {
  if (userId.endsWith(`:${serverName}`)) return userId
  const actual = userId.replace(/^@[^:]*:/, '')
  throw new GatewayError(
    'homeserver_error',
    `MATRIX_SERVER_NAME is "${serverName}", and the homeserver's name is "${actual}"`,
  )
}

/** The part of a user id before the colon, without the @. */
export function localpartOf(userId: string): string {
  return userId.slice(1).replace(/:.*$/, '')
}
