/** The identities behind the tokens, each of which is a Matrix user of its own. */
import { GatewayError } from '../domain/errors.ts'
import type { AccountProvisioner } from '../domain/ports.ts'
import { createIdentities, type Identities } from '../modules/tenants/identities.ts'
import type { AppContext } from './context.ts'

export interface KnownIdentities {
  identities: Identities
  /** @throws GatewayError not_found */
  matrixUserOf(identityId: string): Promise<string>
}

/** @param accounts makes the Matrix users */
export function createKnownIdentities(
  { db, sealer, clock }: AppContext,
  accounts: AccountProvisioner,
): KnownIdentities {
  const identities = createIdentities({ db, provisioner: accounts, sealer, clock })
  return { identities, matrixUserOf: createMatrixUserLookup(identities) }
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
