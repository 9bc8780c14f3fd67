/** What the ways to make accounts at a homeserver share. */
import { type ErrorCode, GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { retryWhenLimited } from '../retry-when-limited.ts'

/**
 * The Matrix device of an account with an access token of its own: one for each account, so that a new token replaces the one before.
 * At least ten of `A-Z a-z 0-9 -`, which is what the Matrix Authentication Service takes.
 */
export const OWN_DEVICE_ID = 'MESHGATE-GATEWAY'
/** What people see who look at the account's devices. */
export const DEVICE_NAME = 'Meshgate'

/** Whoever asks for a token of ours waits meanwhile, so a rate limit is waited for this long only. */
const PATIENCE_MS = 3_000

const REFUSALS_OF_US: readonly ErrorCode[] = ['forbidden', 'not_found']

/**
 * Does a call that makes an account or gives it a token.
 * @throws GatewayError homeserver_unavailable, storage_full or homeserver_error: what the homeserver forbids us is none of the asking client's doing
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
