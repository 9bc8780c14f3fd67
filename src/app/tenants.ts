/** Who may use the gateway, and as whom: credentials, tokens and the identities behind them. */

import type { LinkedDevices } from '../modules/devices/devices.ts'
import { createIdempotencyKeys } from '../modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../modules/idempotency/repository.ts'
import type { IdempotencyKeys } from '../modules/idempotency/types.ts'
import type { Credentials } from '../modules/tenants/credential-types.ts'
import { createCredentials } from '../modules/tenants/credentials.ts'
import { createRetirement } from '../modules/tenants/retirement.ts'
import { createTokens } from '../modules/tenants/tokens.ts'
import type { Webhooks } from '../modules/webhooks/webhooks.ts'
import type { Worker } from '../runtime/worker.ts'
import type { AppContext } from './context.ts'
import type { KnownIdentities } from './identities.ts'

export interface Tenants {
  tokens: ReturnType<typeof createTokens>
  credentials: Credentials
  idempotency: IdempotencyKeys
  workers: Worker[]
}

/** Belongings of an identity, which go with its last token. */
export interface TenantParts extends Pick<KnownIdentities, 'identities'> {
  devices: Pick<LinkedDevices, 'voidQueues' | 'removeAll'>
  webhooks: Pick<Webhooks, 'removeAll'>
}

export function createTenants(context: AppContext, { identities, devices, webhooks }: TenantParts): Tenants {
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
      voidQueues: devices.voidQueues,
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
