/** Opens the attached bridges beside a gateway that may be running. */
import type { Config, Secrets } from '../../config/index.ts'
import { migrateUp } from '../../db/migrate.ts'
import { type Db, openDb } from '../../db/open.ts'
import { systemClock } from '../../lib/clock.ts'
import {
  type AttachedBridges,
  createAttachedBridges,
} from '../../modules/bridges-attached/attached-bridges.ts'
import { createAttachedBridgeRepository } from '../../modules/bridges-attached/repository.ts'
import { createSecretKeyRepository } from '../../modules/operations/secret-key/repository.ts'
import { keysOf, openKeyring } from '../../modules/operations/secret-key/secret-key.ts'
import { namingDatabase } from '../failures.ts'
import { loadConfig, type Terminal } from '../terminal.ts'

export async function withBridges(
  terminal: Terminal,
  work: (bridges: AttachedBridges, more: { config: Config; secrets: Secrets; db: Db }) => Promise<void>,
): Promise<void> {
  const settings = loadConfig(terminal)
  const { databaseFile } = settings.config.data
  try {
    const db = openDb(databaseFile)
    try {
      migrateUp(db.connection, systemClock.now())
      const { sealer } = await openKeyring(createSecretKeyRepository(db), keysOf(settings.secrets))
      await work(createAttachedBridges({ repository: createAttachedBridgeRepository(db), sealer }), {
        ...settings,
        db,
      })
    } finally {
      await db.close()
    }
  } catch (error) {
    throw namingDatabase(error, databaseFile)
  }
}
