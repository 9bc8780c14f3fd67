/**
 * Slows down who guesses secrets. Failed authentications are counted by address, and by address and credential together; an address with too
 * many is answered 429 before a secret is looked at. A credential that others hammer stays usable from everywhere else, and what has proved
 * right before is always looked at: so neither a stranger nor a neighbour behind the same address can lock a client out.
 */
import { randomBytes } from 'node:crypto'
import { type ErrorCode, GatewayError } from '../domain/errors.ts'
import type { SecretKind } from '../domain/observation.ts'
import { clientNetwork } from '../lib/addresses.ts'
import type { Clock } from '../lib/clock.ts'
import { createFailureLimit } from '../lib/failure-limit.ts'
import type { Logger } from '../lib/logger.ts'
import { createHmacHasher } from '../lib/sealing.ts'
import { Turns } from '../lib/turns.ts'
import { noteRequest } from './request-notes.ts'
import type { HttpServices } from './services.ts'

export interface AuthAttempt {
  request: Request
  kind: SecretKind
  /** What is claimed, and no secret: a client id, the beginning of a token. */
  credential: string
  /** What is to prove it: a token, a digest of a client secret. */
  proof: string
}

export interface AuthAttempts {
  /**
   * Does `work`, from `admit` on, once what was tried before from the same address is decided: of many guesses at once no more are looked
   * at than of many one after another. What has proved right before waits for nobody.
   */
  inTurn<T>(attempt: AuthAttempt, work: () => Promise<T>): Promise<T>
  /** Before the proof is looked at. @throws GatewayError too_many_requests */
  admit(attempt: AuthAttempt): void
  /** The proof was wrong, or is no longer good. */
  failed(attempt: AuthAttempt): void
  /** The proof was right. */
  succeeded(attempt: AuthAttempt): void
}

export interface AuthAttemptsOptions {
  limits: { perCredential: number; perAddress: number; windowMs: number }
  /** Who sends a request; undefined: nobody by the network, so nobody to slow down. */
  addressOf(request: Request): string | undefined
  /** Is told of each that failed. */
  onFailed?: ((kind: SecretKind) => void) | undefined
  clock: Clock
  logger: Logger
}

/** How many proofs that were right are kept in mind. */
const MAX_PROVED = 10_000
/** A claimed client id may be as long as a header. */
const MAX_CREDENTIAL_LENGTH = 64
/** `mt_` and eight characters: enough to tell tokens apart, and nothing to guess the rest by. */
const TOKEN_PREFIX_LENGTH = 11

export function createAuthAttempts({
  limits,
  addressOf,
  onFailed = () => undefined,
  clock,
  logger,
}: AuthAttemptsOptions): AuthAttempts {
  const { perCredential, perAddress, windowMs } = limits
  const byAddress = createFailureLimit({ maxFailures: perAddress, windowMs, clock })
  const byPair = createFailureLimit({ maxFailures: perCredential, windowMs, clock })
  const proved = new Set<string>()
  const turns = new Turns()

  const keysOf = ({ request, credential }: AuthAttempt) => {
    const address = addressOf(request)
    if (address === undefined) return undefined
    const network = clientNetwork(address)
    return { network, pair: `${network} ${credential.slice(0, MAX_CREDENTIAL_LENGTH)}` }
  }

  return {
    inTurn(attempt, work) {
      const keys = proved.has(attempt.proof) ? undefined : keysOf(attempt)
      return keys ? turns.take(keys.network, work) : work()
    },

    admit(attempt) {
      if (proved.has(attempt.proof)) return
      const keys = keysOf(attempt)
      if (!keys) return
      const waitMs = Math.max(byAddress.waitMs(keys.network), byPair.waitMs(keys.pair))
      if (waitMs === 0) return
      noteRequest(attempt.request, { refusal: 'authentication' })
      throw new GatewayError(
        'too_many_requests',
        'Too many failed authentications from your address, try again later',
        waitMs / 1_000,
      )
    },

    failed(attempt) {
      onFailed(attempt.kind)
      proved.delete(attempt.proof)
      const keys = keysOf(attempt)
      if (!keys) return
      const isShutOut = [byPair.record(keys.pair), byAddress.record(keys.network)].includes(true)
      if (isShutOut) {
        logger.warn(
          { address: keys.network, credential: attempt.credential.slice(0, MAX_CREDENTIAL_LENGTH) },
          'too many failed authentications from an address',
        )
      }
    },

    succeeded({ proof }) {
      if (proved.has(proof)) return
      if (proved.size >= MAX_PROVED) proved.clear()
      proved.add(proof)
    },
  }
}

/** The services, with both ways to authenticate slowed down. Calls that name no request are none of a client's. */
export function guardAuthentication(services: HttpServices, attempts: AuthAttempts): HttpServices {
  const { credentials, tokens } = services
  const digest = createHmacHasher(randomBytes(32))
  return {
    ...services,
    credentials: {
      ...credentials,
      authenticate: (clientId: string, secret: string, request?: Request) =>
        counted(
          attempts,
          request && {
            request,
            kind: 'credential',
            credential: clientId,
            proof: digest(`${clientId}\n${secret}`),
          },
          () => credentials.authenticate(clientId, secret),
          'unauthorized',
        ),
    },
    tokens: {
      ...tokens,
      authenticate: (token: string, request?: Request) =>
        counted(
          attempts,
          request && {
            request,
            kind: 'token',
            credential: token.slice(0, TOKEN_PREFIX_LENGTH),
            proof: token,
          },
          () => tokens.authenticate(token),
          'forbidden',
        ),
    },
  }
}

async function counted<T>(
  attempts: AuthAttempts,
  attempt: AuthAttempt | undefined,
  authenticate: () => Promise<T>,
  failure: ErrorCode,
): Promise<T> {
  if (!attempt) return authenticate()
  return attempts.inTurn(attempt, async () => {
    attempts.admit(attempt)
    try {
      const caller = await authenticate()
      attempts.succeeded(attempt)
      return caller
    } catch (error) {
      if (error instanceof GatewayError && error.code === failure) attempts.failed(attempt)
      throw error
    }
  })
}
