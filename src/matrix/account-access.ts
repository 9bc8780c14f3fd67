/**
 * Authorises a call for one of our users: by the application service, or by the user's own access
 * token. A token that was revoked is replaced where possible, one replacement at a time; otherwise
 * the reason is kept until a call succeeds.
 */
import { LRUCache } from 'lru-cache'
import { GatewayError, messageOf } from '../domain/errors.ts'
import type { AccessTokenStore, AccountProvisioner, MatrixAccount } from '../domain/ports.ts'
import type { Emits } from '../domain/signals.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { SingleFlight } from '../lib/single-flight.ts'

/** A request's authorisation. */
export interface Access {
  accessToken: string
  /** Query parameters: of the application service, whom it speaks for. */
  query: Readonly<Record<string, string>>
}

export interface AccountAccess {
  /** @throws GatewayError homeserver_unavailable while the account can't be used */
  of(userId: string): Promise<Access>
  /**
   * The homeserver refused the call made with `access`.
   * @param reason as the homeserver says it
   * @returns what to repeat the call with, once
   * @throws GatewayError homeserver_unavailable when there is nothing to repeat it with now
   */
  refused(userId: string, access: Access, reason: string): Promise<Access>
  /** The homeserver accepted a call made with `access`. */
  accepted(userId: string, access: Access): void
  trouble(userId: string): string | null
}

/**
 * The application service speaks for every user (application service API, "Identity assertion").
 * Only the operator can mend its token.
 */
export function createAppserviceAccess(options: {
  asToken: string
  logger: Logger
  signals: Emits<'account-changed'>
}): AccountAccess {
  const { asToken, logger, signals } = options
  let trouble: string | null = null
  const access = (userId: string): Access => ({ accessToken: asToken, query: { user_id: userId } })
  return {
    of: async userId => access(userId),
    async refused(_userId, _access, reason) {
      const told = `the homeserver doesn't accept MATRIX_AS_TOKEN (${reason}): is our registration in its app_service_config_files with this as_token, and was it restarted since?`
      if (trouble === null) logger.error({ reason }, told)
      if (trouble !== told) {
        trouble = told
        signals.emit('account-changed', null)
      }
      throw new GatewayError('homeserver_unavailable', told)
    },
    accepted() {
      if (trouble === null) return
      trouble = null
      logger.info('the homeserver accepts MATRIX_AS_TOKEN again')
      signals.emit('account-changed', null)
    },
    trouble: () => trouble,
  }
}

/** An account whose token was refused, until a call succeeds again. */
interface Trouble {
  /** Null when the token was replaced and the new one hasn't been tried yet. */
  reason: string | null
  failures: number
  /** No replacement is tried before: homeservers limit the rate of logins. */
  retryAt: number
}

/** Between two tries to replace a token. */
const RENEWAL_BACKOFF = { baseMs: 2_000, capMs: 300_000 }
/** Tokens held in memory; more are looked up again. */
const MAX_TOKENS = 10_000

/** Every user has an access token of their own. */
export function createOwnTokenAccess(options: {
  tokens: AccessTokenStore
  provisioner: AccountProvisioner
  clock: Clock
  logger: Logger
  signals: Emits<'account-changed'>
}): AccountAccess {
  const { tokens, provisioner, clock, logger, signals } = options
  const known = new LRUCache<string, Access>({ max: MAX_TOKENS })
  const renewing = new SingleFlight<Access>()
  const troubles = new Map<string, Trouble>()

  function remember({ userId, accessToken }: MatrixAccount & { accessToken: string }): Access {
    const access = { accessToken, query: {} }
    known.set(userId, access)
    return access
  }

  async function stored(userId: string): Promise<MatrixAccount> {
    const account = await tokens.find(userId)
    if (account) return account
    throw new GatewayError('not_found', `${userId} is no identity of ours`)
  }

  /** One replacement of a user's token at a time; whoever asks meanwhile shares it. */
  function renewOnce(userId: string, refusedToken: string | null, reason: string): Promise<Access> {
    return renewing.run(userId, () => renew(userId, refusedToken, reason))
  }

  async function renew(userId: string, refusedToken: string | null, reason: string): Promise<Access> {
    const account = await stored(userId)
    // Replaced while the call was under way.
    if (account.accessToken !== null && account.accessToken !== refusedToken)
      return remember({ ...account, accessToken: account.accessToken })
    known.delete(userId)
    const before = troubles.get(userId)
    if (before && before.retryAt > clock.steady()) {
      if (before.reason === null) note(userId, `the new one isn't accepted either (${reason})`)
      throw unusable(userId)
    }
    try {
      const fresh = await provisioner.renewToken?.(account)
      if (!fresh?.accessToken) throw new GatewayError('homeserver_error', 'there is no way to get another')
      await tokens.replace(fresh)
      logger.info({ user: userId, reason }, 'an access token was replaced')
      const failures = (before?.failures ?? 0) + 1
      troubles.set(userId, {
        reason: null,
        failures,
        retryAt: clock.steady() + backoffMs(failures, RENEWAL_BACKOFF),
      })
      if (before?.reason != null) signals.emit('account-changed', userId)
      return remember({ ...fresh, accessToken: fresh.accessToken })
    } catch (error) {
      const hintMs = error instanceof GatewayError ? (error.retryAfterS ?? 0) * 1000 : 0
      note(userId, `it is not accepted (${reason}), and no other is to be had: ${messageOf(error)}`, hintMs)
      throw unusable(userId)
    }
  }

  /** @param waitMs at least, before the next try */
  function note(userId: string, what: string, waitMs = 0): void {
    const failures = (troubles.get(userId)?.failures ?? 0) + 1
    const retryInMs = Math.max(waitMs, backoffMs(failures, RENEWAL_BACKOFF))
    const reason = `the Matrix access token of ${userId} doesn't work: ${what}`
    troubles.set(userId, { reason, failures, retryAt: clock.steady() + retryInMs })
    logger.warn({ user: userId, failures, retry_in_ms: retryInMs }, reason)
    signals.emit('account-changed', userId)
  }

  function unusable(userId: string): GatewayError {
    const { reason, retryAt } = troubles.get(userId) ?? { reason: null, retryAt: clock.steady() }
    return new GatewayError(
      'homeserver_unavailable',
      reason ?? `the Matrix account of ${userId} can't be used`,
      Math.max(1, (retryAt - clock.steady()) / 1000),
    )
  }

  return {
    async of(userId) {
      const trouble = troubles.get(userId)
      if (trouble && trouble.reason !== null && trouble.retryAt > clock.steady()) throw unusable(userId)
      const held = known.get(userId)
      if (held !== undefined) return held
      const account = await stored(userId)
      // Made by the application service of an earlier configuration.
      if (account.accessToken === null) return renewOnce(userId, null, 'there is none')
      return remember({ ...account, accessToken: account.accessToken })
    },

    refused: (userId, access, reason) => renewOnce(userId, access.accessToken, reason),

    accepted(userId) {
      const trouble = troubles.size > 0 ? troubles.get(userId) : undefined
      if (trouble === undefined) return
      troubles.delete(userId)
      if (trouble.reason !== null) signals.emit('account-changed', userId)
    },

    trouble: userId => troubles.get(userId)?.reason ?? null,
  }
}
