/** The doctor tries to get a Matrix account, in the way that the settings name. */
import type { Config, Secrets } from '../config/index.ts'
import type { Db } from '../db/open.ts'
import type { AccountProvisioner } from '../domain/ports.ts'
import { systemClock } from '../lib/clock.ts'
import { createHmacHasher, deriveKey } from '../lib/sealing.ts'
import { createAppserviceAccounts } from '../matrix/accounts/appservice-accounts.ts'
import { createMasClient } from '../matrix/accounts/mas-client.ts'
import { createSharedSecretAccounts } from '../matrix/accounts/shared-secret-accounts.ts'
import { TRIAL_LOCALPART } from '../modules/operations/doctor/homeserver.ts'
import { openKeyring, PASSWORDS } from '../modules/operations/secret-key/secret-key.ts'

/** @returns the name of the way, as the operator knows it */
export function wayOf({ accounts }: Secrets): string {
  switch (accounts?.kind) {
    case 'shared_secret':
      return 'MATRIX_REGISTRATION_SHARED_SECRET'
    case 'mas':
      return 'the Matrix Authentication Service'
    default:
      return 'the application service'
  }
}

/**
 * Makes a user as the gateway does, in an account for this alone; null: the embedded homeserver.
 */
export function trialOf(
  { matrix }: Pick<Config, 'matrix'>,
  secrets: Secrets,
  db: Db | null,
): (() => Promise<string>) | null {
  const { accounts } = secrets
  const { serverName, homeserverUrl } = matrix
  const common = { address: { baseUrl: homeserverUrl ?? '' }, serverName, clock: systemClock }
  switch (accounts?.kind) {
    case undefined:
      return null
    case 'appservice':
      return () => makeTrialAccount(createAppserviceAccounts({ ...common, asToken: accounts.asToken }))
    case 'shared_secret': {
      const { sharedSecret } = accounts
      return async () => {
        const passwordOf = await passwordsOf(db, secrets)
        return makeTrialAccount(createSharedSecretAccounts({ ...common, sharedSecret, passwordOf }))
      }
    }
    case 'mas': {
      const mas = createMasClient({ ...accounts, clock: systemClock })
      // No session is opened, as none can be given back: it is enough that the service lets us in.
      return async () => {
        const { status } = await mas.call('find a user', 'GET', `/users/by-username/${TRIAL_LOCALPART}`)
        return `it lets us in: HTTP ${status}`
      }
    }
  }
}

async function makeTrialAccount(provisioner: AccountProvisioner): Promise<string> {
  const { userId } = await provisioner.createAccount(TRIAL_LOCALPART)
  return `tried with ${userId}, which is there for this only`
}

/** Under another key than the database's, as of a database that isn't there yet. */
async function passwordsOf(db: Db | null, secrets: Secrets): Promise<(localpart: string) => string> {
  const keyring = db && (await openKeyring(db, secrets).catch(() => null))
  return keyring ? keyring.hasherFor(PASSWORDS) : createHmacHasher(deriveKey(secrets.secretKey, PASSWORDS))
}
