/**
 * Decides who may see how the gateway does: its metrics, and the reasons behind /ready, which name
 * addresses of the inside. METRICS_TOKEN lets in; without that setting, in development, so does a
 * call from this machine. In production it doesn't: behind a proxy on the same machine everybody
 * comes from there.
 */
import { randomBytes } from 'node:crypto'
import { GatewayError } from '../domain/errors.ts'
import { bearerToken } from '../lib/bearer-token.ts'
import { isLoopback } from '../lib/hosts.ts'
import { createHmacHasher, equalInConstantTime } from '../lib/sealing.ts'
import type { AuthAttempt, AuthAttempts } from './auth-attempts.ts'
import { challenge } from './error-answers.ts'

export interface OperatorAccess {
  mayLook(request: Request): boolean
  /**
   * @throws HttpError 401, GatewayError forbidden, too_many_requests (too many wrong tokens from
   * this address)
   */
  admit(request: Request): void
}

/** As what guesses are counted and logged. */
const CREDENTIAL = 'METRICS_TOKEN'
/** Headers of proxies: whoever they speak for isn't this machine. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

export function createOperatorAccess(options: {
  token: string | undefined
  isProduction: boolean
  /** Undefined: nobody by the network. */
  addressOf(request: Request): string | undefined
  /** Where wrong tokens are counted. */
  attempts: Pick<AuthAttempts, 'admit' | 'failed' | 'succeeded'>
}): OperatorAccess {
  const { token, isProduction, addressOf, attempts } = options
  const digest = createHmacHasher(randomBytes(32))

  function isLocal(request: Request): boolean {
    const address = addressOf(request)
    const isOurs = address === undefined || address === '::1' || isLoopback(address)
    return isOurs && !FORWARDED.some(header => request.headers.has(header))
  }

  /** @throws GatewayError too_many_requests, before the token is looked at */
  function showsToken(request: Request, expected: string): boolean {
    const shown = bearerToken(request)
    if (shown === undefined) return false
    const attempt: AuthAttempt = { request, kind: 'metrics', credential: CREDENTIAL, proof: digest(shown) }
    attempts.admit(attempt)
    const isRight = equalInConstantTime(shown, expected)
    if (isRight) attempts.succeeded(attempt)
    else attempts.failed(attempt)
    return isRight
  }

  const isOperator = (request: Request) =>
    token === undefined ? !isProduction && isLocal(request) : showsToken(request, token)

  return {
    mayLook(request) {
      try {
        return isOperator(request)
      } catch (error) {
        // Whoever has guessed too often is shown what everybody is.
        if (error instanceof GatewayError) return false
        throw error
      }
    },
    admit(request) {
      if (isOperator(request)) return
      if (token !== undefined)
        throw challenge('Bearer', 'Expected "Authorization: Bearer" with METRICS_TOKEN')
      throw new GatewayError('forbidden', 'Set METRICS_TOKEN, and send it as "Authorization: Bearer …"')
    },
  }
}
