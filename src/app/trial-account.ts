/** The doctor tries to get a Matrix account, in the way that the settings name. */
import type { Config, Secrets } from '../config/index.ts'
import type { Db } from '../db/open.ts'
import { systemClock } from '../lib/clock.ts'
import { createHmacHasher, deriveKey } from '../lib/sealing.ts'
import { createMasClient } from '../matrix/accounts/mas-client.ts'
import { TRIAL_LOCALPART } from '../modules/operations/doctor/homeserver.ts'
import { openKeyring, PASSWORDS } from '../modules/operations/secret-key/secret-key.ts'
import { provisionerOf } from './matrix.ts'

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
  { matrix: { serverName, homeserverUrl } }: Pick<Config, 'matrix'>,
  secrets: Secrets,
  db: Db | null,
): (() => Promise<string>) | null {
  const { accounts } = secrets
  const clock = systemClock
  if (accounts === undefined) return null
  return async () => {
    if (accounts.kind === 'mas') {
      // No session is opened, as none can be given back: it is enough that the service lets us in.
      const path = `/users/by-username/${TRIAL_LOCALPART}`
      const { status } = await createMasClient({ ...accounts, clock }).call('find a user', 'GET', path)
      return `it lets us in: HTTP ${status}`
    }
    const address = { baseUrl: homeserverUrl ?? '' }
    const passwordOf = await passwordsOf(db, secrets)
    const provisioner = provisionerOf(accounts, { address, serverName, passwordOf, clock })
    const { userId } = await provisioner.createAccount(TRIAL_LOCALPART)
    return `tried with ${userId}, which is there for this only`
  }
}

/** Under another key than the database's, as of a database that isn't there yet. */
async function passwordsOf(db: Db | null, secrets: Secrets): Promise<(localpart: string) => string> {
  const keyring = db && (await openKeyring(db, secrets).catch(() => null))
  return keyring ? keyring.hasherFor(PASSWORDS) : createHmacHasher(deriveKey(secrets.secretKey, PASSWORDS))
}
