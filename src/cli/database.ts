/** Opens the database for a command. */
import type { Config, Secrets } from '../config/index.ts'
import { migrateUp } from '../db/migrate.ts'
import { type Db, openDb } from '../db/open.ts'
import { systemClock } from '../lib/clock.ts'
import { type AttachedBridges, createAttachedBridges } from '../modules/bridges-attached/bridges-attached.ts'
import { type Keyring, openKeyring } from '../modules/operations/secret-key/secret-key.ts'
import { namingDatabase } from './failures.ts'
import { loadConfig, type Terminal } from './terminal.ts'

interface Settings {
  config: Config
  secrets: Secrets
}

/** @param open by default beside a gateway that may be running */
export async function withDatabase(
  terminal: Terminal,
  work: (db: Db, settings: Settings) => void | Promise<void>,
  open: (file: string) => Db = openDb,
): Promise<void> {
  const settings = loadConfig(terminal)
  const { databaseFile } = settings.config.data
  try {
    const db = open(databaseFile)
    try {
      await work(db, settings)
    } finally {
      await db.close()
    }
  } catch (error) {
    throw namingDatabase(error, databaseFile)
  }
}

/** Brings the database to this version first, and opens what is sealed in it. */
export function withKeyring(
  terminal: Terminal,
  work: (db: Db, keyring: Keyring, settings: Settings) => Promise<void>,
): Promise<void> {
  return withDatabase(terminal, async (db, settings) => {
    migrateUp(db.connection, systemClock.now())
    await work(db, await openKeyring(db, settings.secrets), settings)
  })
}

/** Opens the attached bridges beside a gateway that may be running. */
export function withBridges(
  terminal: Terminal,
  work: (bridges: AttachedBridges, more: Settings & { db: Db }) => Promise<void>,
): Promise<void> {
  return withKeyring(terminal, (db, { sealer }, settings) =>
    work(createAttachedBridges(db, sealer), { ...settings, db }),
  )
}
