/**
 * Identities: the Matrix users that the gateway acts as.
 * `createIdentities({ db, provisioner, sealer, clock })`
 */
import { randomInt } from 'node:crypto'
import type { Db } from '../../db/open.ts'
import type { Identity } from '../../db/schema/index.ts'
import type { AccountProvisioner } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { accessTokenContext } from './access-tokens.ts'
import { createIdentityRepository, type NewIdentity } from './identity-repository.ts'

export interface Identities {
  /**
   * Makes a Matrix account for a new identity. The caller writes its row, in one transaction with
   * its first token. An account that never gets its row does no harm.
   * @throws GatewayError homeserver_unavailable or homeserver_error
   */
  prepare(): Promise<NewIdentity>
  find(id: string): Promise<Identity | null>
  /** The identity of a Matrix user, null when it is none of ours. */
  findByUser(matrixUserId: string): Promise<Identity | null>
  /** The admin's identity; null before the first token. */
  host(): Promise<Identity | null>
  /** All of them, oldest first. */
  list(): Promise<Identity[]>
  /** Those without a token that still have a webhook or a device, the host identity never. */
  unreachable(): Promise<string[]>
}

export interface IdentitiesOptions {
  db: Pick<Db, 'read' | 'write'>
  provisioner: AccountProvisioner
  sealer: Sealer
  clock: Clock
}

export function createIdentities({ db, provisioner, sealer, clock }: IdentitiesOptions): Identities {
  const repository = createIdentityRepository(db)
  return {
    async prepare() {
      const id = timeOrderedId('id_')
      const account = await provisioner.createAccount(randomLocalpart())
      const now = clock.now()
      return {
        id,
        matrixUserId: account.userId,
        matrixDeviceId: account.deviceId,
        accessTokenSealed:
          account.accessToken === null ? null : sealer.seal(account.accessToken, accessTokenContext(id)),
        createdAt: now,
        updatedAt: now,
      }
    },
    find: id => repository.find(id),
    findByUser: matrixUserId => repository.findByUser(matrixUserId),
    host: () => repository.host(),
    list: () => repository.list(),
    unreachable: () => repository.unreachable(),
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
