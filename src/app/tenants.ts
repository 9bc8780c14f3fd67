/** Who may use the gateway, and as whom: credentials, tokens and the identities behind them. */

import { GatewayError } from '../domain/errors.ts'
import type { AccountProvisioner } from '../domain/ports.ts'
import type { LinkedDevices } from '../modules/devices/devices.ts'
import { createIdempotencyKeys } from '../modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../modules/idempotency/repository.ts'
import { createCredentials } from '../modules/tenants/credentials.ts'
import { createIdentities, type Identities } from '../modules/tenants/identities.ts'
import { createRetirement } from '../modules/tenants/retirement.ts'
import { createTokens } from '../modules/tenants/tokens.ts'
import type { Webhooks } from '../modules/webhooks/webhooks.ts'
import type { AppContext } from './context.ts'

export type Tenants = ReturnType<typeof createTenants>

/** Belongings of an identity, which go with its last token. */
export interface TenantParts extends Pick<KnownIdentities, 'identities'> {
  devices: Pick<LinkedDevices, 'discardQueues' | 'removeAll'>
  webhooks: Pick<Webhooks, 'removeAll'>
}

export function createTenants(context: AppContext, { identities, devices, webhooks }: TenantParts) {
  const { config, db, sealer, hasherFor, previousHasherFor, signals, clock, logger } = context
  const tokens = createTokens({
    db,
    identities,
    hasher: hasherFor('tokens'),
    previousHasher: previousHasherFor?.('tokens'),
    clock,
  })
  const retirement = createRetirement({
    unreachable: identities.unreachable,
    belongings: {
      discardQueues: devices.discardQueues,
      logOutDevices: devices.removeAll,
      removeWebhooks: webhooks.removeAll,
    },
    signals,
    clock,
    logger,
  })
  return {
    tokens,
    credentials: createCredentials({ db, hasher: hasherFor('credentials'), clock }),
    idempotency: createIdempotencyKeys({
      repository: createIdempotencyRepository(db),
      maxPerHolder: config.idempotencyKeysMax,
      sealer,
      clock,
      logger,
    }),
    workers: [retirement, tokens.cleanup, tokens.usage],
  }
}

export interface KnownIdentities {
  identities: Identities
  /** @throws GatewayError not_found */
  matrixUserOf(identityId: string): Promise<string>
}

/** Each identity is a Matrix user of its own. @param accounts makes these */
export function createKnownIdentities(
  { db, sealer, clock }: AppContext,
  accounts: AccountProvisioner,
): KnownIdentities {
  const identities = createIdentities({ db, provisioner: accounts, sealer, clock })
  /** An identity's Matrix user never changes, so it is looked up once. */
  const known = new Map<string, string>()
  return {
    identities,
    async matrixUserOf(identityId) {
      const userId = known.get(identityId) ?? (await identities.find(identityId))?.matrixUserId
      if (userId === undefined) throw new GatewayError('not_found', 'the identity is gone')
      known.set(identityId, userId)
      return userId
    },
  }
}
