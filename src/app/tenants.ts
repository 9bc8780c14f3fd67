/** Who may use the gateway, and as whom: credentials, tokens and the identities behind them. */
import { GatewayError } from '../domain/errors.ts'
import type { AccountProvisioner } from '../domain/ports.ts'
import { createCredentials } from '../modules/credentials/credentials.ts'
import type { Credentials } from '../modules/credentials/types.ts'
import { createIdempotencyKeys } from '../modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../modules/idempotency/repository.ts'
import type { IdempotencyKeys } from '../modules/idempotency/types.ts'
import { createIdentities, type Identities } from '../modules/identities/identities.ts'
import { createRetirement, type RetirementOptions } from '../modules/identities/retirement.ts'
import { createTokens } from '../modules/tokens/tokens.ts'
import type { Worker } from '../runtime/worker.ts'
import type { AppContext } from './context.ts'

export interface Tenants {
  identities: Identities
  /** @throws GatewayError not_found */
  matrixUserOf(identityId: string): Promise<string>
  tokens: ReturnType<typeof createTokens>
  credentials: Credentials
  idempotency: IdempotencyKeys
  workers: Worker[]
}

export interface TenantParts {
  accounts: AccountProvisioner
  /** What an identity leaves behind when its last token is gone. */
  belongings: RetirementOptions['belongings']
  onIdentityCreated(): void
  /** A credential changed, and with it what its tokens are worth. */
  onCredentialChange(): void
}

export function createTenants(context: AppContext, parts: TenantParts): Tenants {
  const { config, db, sealer, hasherFor, previousHasherFor, clock, logger } = context
  const identities = createIdentities({ db, provisioner: parts.accounts, sealer, clock })
  const retirement = createRetirement({
    unreachable: identities.unreachable,
    belongings: parts.belongings,
    clock,
    logger,
  })
  const tokens = createTokens({
    db,
    identities,
    hasher: hasherFor('tokens'),
    previousHasher: previousHasherFor?.('tokens'),
    onCreated: parts.onIdentityCreated,
    onRemoved: retirement.nudge,
    clock,
  })
  const credentials = createCredentials({
    db,
    hasher: hasherFor('credentials'),
    clock,
    onChange: () => {
      tokens.forget()
      retirement.nudge()
      parts.onCredentialChange()
    },
  })
  return {
    identities,
    matrixUserOf: createMatrixUserLookup(identities),
    tokens,
    credentials,
    idempotency: createIdempotencyKeys({
      repository: createIdempotencyRepository(db),
      maxPerHolder: config.idempotencyKeysMax,
      sealer,
      clock,
      logger,
    }),
    workers: [retirement.worker, tokens.cleanup, tokens.usage],
  }
}

/** An identity's Matrix user never changes, so it is looked up once. */
function createMatrixUserLookup(identities: Identities): (identityId: string) => Promise<string> {
  const known = new Map<string, string>()
  return async identityId => {
    const userId = known.get(identityId) ?? (await identities.find(identityId))?.matrixUserId
    if (userId === undefined) throw new GatewayError('not_found', 'the identity is gone')
    known.set(identityId, userId)
    return userId
  }
}
