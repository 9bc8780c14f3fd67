/** Opens the attached bridges beside a gateway that may be running. */
import type { Config, Secrets } from '../../config/index.ts'
import { migrateUp } from '../../db/migrate.ts'
import { type Db, openDb } from '../../db/open.ts'
import { systemClock } from '../../lib/clock.ts'
import {
  type AttachedBridges,
  createAttachedBridges,
} from '../../modules/bridges-attached/bridges-attached.ts'
import { openKeyring } from '../../modules/operations/secret-key/secret-key.ts'
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
      const { sealer } = await openKeyring(db, settings.secrets)
      await work(createAttachedBridges(db, sealer), { ...settings, db })
    } finally {
      await db.close()
    }
  } catch (error) {
    throw namingDatabase(error, databaseFile)
  }
}
