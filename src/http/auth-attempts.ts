/**
 * Slows down whoever guesses secrets. Failed authentications are counted by address, and by address
 * and credential together; an address with too many is answered 429 before a secret is looked at.
 *
 * A credential that others hammer stays usable from everywhere else, and a proof that was right
 * before from the same address is always looked at. So neither a stranger nor a neighbour behind
 * the same address can lock a client out, and whoever is shut out doesn't learn that a guess was
 * right.
 */
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type ErrorCode, GatewayError } from '../domain/errors.ts'
import type { SecretKind } from '../domain/observation.ts'
import type { Clock } from '../lib/clock.ts'
import { createFailureLimit } from '../lib/failure-limit.ts'
import { clientNetwork } from '../lib/ip-networks.ts'
import { KeyedMutex } from '../lib/keyed-mutex.ts'
import type { Logger } from '../lib/logger.ts'
import { createHmacHasher } from '../lib/sealing.ts'
import { noteRequest } from './request-notes.ts'
import type { HttpServices } from './services.ts'

export interface AuthAttempt {
  request: Request
  kind: SecretKind
  /** Names who is claimed to call, and is no secret: a client id, the beginning of a token. */
  credential: string
  /** Proves the claim: a token, a digest of a client secret. */
  proof: string
}

export interface AuthAttempts {
  /**
   * Does `work` (`admit` included) once earlier attempts from the same address are decided: many
   * guesses at once get no further than many one after another. A proof that was right before waits
   * for nobody.
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

/** How many proofs that were right are kept in mind, and of how many networks each. */
const MAX_PROVED = 10_000
const MAX_NETWORKS_OF_PROOF = 100
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
  /** Proofs that were right, and where from. */
  const proved = new LRUCache<string, Set<string>>({ max: MAX_PROVED })
  const mutex = new KeyedMutex()

  const networkOf = (request: Request) => {
    const address = addressOf(request)
    return address === undefined ? undefined : clientNetwork(address)
  }
  const pairOf = (network: string, credential: string) =>
    `${network} ${credential.slice(0, MAX_CREDENTIAL_LENGTH)}`

  return {
    inTurn(attempt, work) {
      const network = proved.has(attempt.proof) ? undefined : networkOf(attempt.request)
      return network === undefined ? work() : mutex.run(network, work)
    },

    admit(attempt) {
      const { request, credential, proof } = attempt
      const network = networkOf(request)
      if (network === undefined || proved.get(proof)?.has(network)) return
      const waitMs = Math.max(byAddress.waitMs(network), byPair.waitMs(pairOf(network, credential)))
      if (waitMs === 0) return
      noteRequest(request, { refusal: 'authentication' })
      throw new GatewayError(
        'too_many_requests',
        'Too many failed authentications from your address, try again later',
        waitMs / 1_000,
      )
    },

    failed(attempt) {
      onFailed(attempt.kind)
      proved.delete(attempt.proof)
      const { request, credential } = attempt
      const network = networkOf(request)
      if (network === undefined) return
      const pair = pairOf(network, credential)
      const isShutOut = [byPair.record(pair), byAddress.record(network)].includes(true)
      if (isShutOut) {
        logger.warn(
          { address: network, credential: credential.slice(0, MAX_CREDENTIAL_LENGTH) },
          'too many failed authentications from an address',
        )
      }
    },

    succeeded({ request, proof }) {
      const network = networkOf(request)
      if (network === undefined) return
      const networks = proved.get(proof)
      if (networks?.has(network)) return
      if (networks && networks.size < MAX_NETWORKS_OF_PROOF) {
        networks.add(network)
        return
      }
      proved.set(proof, new Set([network]))
    },
  }
}

/**
 * Returns the services, with both ways to authenticate slowed down. Calls that name no request come
 * from the gateway itself, and are not.
 */
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
