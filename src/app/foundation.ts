/** What every part of the gateway stands on: configuration, database, keys, clock and log. */
import type { Config, Secrets } from '../config/index.ts'
import { openDbAlone } from '../db/lock.ts'
import { migrateUp } from '../db/migrate.ts'
import type { Db } from '../db/open.ts'
import type { Observer } from '../domain/observation.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createIdentityRepository } from '../modules/identities/repository.ts'
import { keepServerName } from '../modules/identities/server-name.ts'
import { createSettingsRepository } from '../modules/identities/settings-repository.ts'
import { createSecretKeyRepository } from '../modules/secret-key/repository.ts'
import { type Keyring, keysOf, openKeyring, settleSecretKey } from '../modules/secret-key/secret-key.ts'

export interface Foundation extends Keyring {
  config: Config
  secrets: Secrets
  db: Db
  /** Of the program. */
  version: string
  /** Told of each request, try, batch and commit. */
  observer: Observer
  clock: Clock
  logger: Logger
}

/** @throws Error when the database can't be opened, is in use, belongs to another homeserver or was written by a newer version */
export async function layFoundation(
  given: Pick<Foundation, 'config' | 'secrets' | 'version' | 'observer' | 'clock' | 'logger'>,
): Promise<Foundation> {
  const db = await openDatabase(given)
  db.committer.watch(given.observer.committed)
  return {
    ...given,
    db,
    ...(await openKeyring(createSecretKeyRepository(db), keysOf(given.secrets))),
  }
}

/** Migrated, and of nobody else until it is closed. */
async function openDatabase({
  config,
  secrets,
  clock,
  logger,
}: Pick<Foundation, 'config' | 'secrets' | 'clock' | 'logger'>): Promise<Db> {
  const db = openDbAlone(config.data.databaseFile)
  try {
    migrateUp(db.connection, clock.now())
    await keepServerName(config.matrix.serverName, createSettingsRepository(db), createIdentityRepository(db))
    await settleSecretKey(createSecretKeyRepository(db), keysOf(secrets), { clock, logger })
    return db
  } catch (error) {
    await db.close()
    throw error
  }
}
