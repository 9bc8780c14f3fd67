/**
 * Identities: the Matrix users that the gateway acts as.
 * `createIdentities({ db, provisioner, sealer, clock })`
 */
import { randomInt } from 'node:crypto'
import type { Db } from '../../db/open.ts'
import type { AccountProvisioner } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { createIdentityRepository, type IdentityRepository, type NewIdentity } from './identity-repository.ts'
import { accessTokenContext } from './matrix-access-tokens.ts'

export interface IdentitiesOptions {
  db: Pick<Db, 'read' | 'write'>
  provisioner: AccountProvisioner
  sealer: Sealer
  clock: Clock
}

export type Identities = ReturnType<typeof createIdentities>

export function createIdentities({ db, provisioner, sealer, clock }: IdentitiesOptions) {
  const repository: IdentityRepository = createIdentityRepository(db)
  return {
    ...repository,

    /**
     * Makes a Matrix account for a new identity. The caller writes its row, in one transaction with
     * its first token. An account that never gets its row does no harm.
     * @throws GatewayError homeserver_unavailable or homeserver_error
     */
    async prepare(): Promise<NewIdentity> {
      const id = timeOrderedId('id_')
      const { userId, deviceId, accessToken } = await provisioner.createAccount(randomLocalpart())
      const now = clock.now()
      return {
        id,
        matrixUserId: userId,
        matrixDeviceId: deviceId,
        accessTokenSealed: accessToken === null ? null : sealer.seal(accessToken, accessTokenContext(id)),
        createdAt: now,
        updatedAt: now,
      }
    },
  }
}

const LETTERS_AND_DIGITS = 'abcdefghijklmnopqrstuvwxyz0123456789'
/** Begins every localpart: the namespace of our application service, which no bridge may use. */
const LOCALPART_PREFIX = 'mg'
const LOCALPART_RANDOM_LENGTH = 10

/** A regular expression of identities' user ids, for the application service's registration. */
export function identityNamespace(serverName: string): string {
  return `@${LOCALPART_PREFIX}[a-z0-9]{${LOCALPART_RANDOM_LENGTH}}:${serverName.replaceAll('.', '\\.')}`
}

/** Twelve lowercase letters and digits: any Matrix server and any bridge takes them. */
function randomLocalpart(): string {
  const pick = () => LETTERS_AND_DIGITS.charAt(randomInt(LETTERS_AND_DIGITS.length))
  return LOCALPART_PREFIX + Array.from({ length: LOCALPART_RANDOM_LENGTH }, pick).join('')
}
