/** Runs the embedded migrations, each in one transaction, and records them in schema_migrations. */
import type { Database } from 'bun:sqlite'
import { migrations as embedded, type Migration } from '../../migrations/index.ts'

export interface MigrationStatus {
  version: number
  name: string
  /** Milliseconds since the Unix epoch; null when not applied. */
  appliedAt: number | null
}

/** How long a migration waits while another process writes. */
const PATIENCE_MS = 5_000

/** A newer version of the program migrated the database. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError'
}

/** @throws NewerDatabaseError */
export function migrationStatus(database: Database, migrations = embedded): MigrationStatus[] {
  const applied = appliedVersions(database)
  const newest = migrations.at(-1)?.version ?? 0
  const unknown = [...applied.keys()].filter(version => version > newest)
  if (unknown.length > 0) {
    throw new NewerDatabaseError(
      `the database has migration ${unknown[0]}, which this version of meshgate doesn't know: use a newer one`,
    )
  }
  return migrations.map(({ version, name }) => ({ version, name, appliedAt: applied.get(version) ?? null }))
}

/** Applies every missing migration. @returns those applied */
export function migrateUp(database: Database, now: number, migrations = embedded): Migration[] {
  const pending = pendingMigrations(database, migrations)
  for (const migration of pending) {
    inOneTransaction(database, () => {
      database.run(migration.up)
      database.run('INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)', [
        migration.version,
        migration.name,
        now,
      ])
    })
  }
  return pending
}

/** Reverts the newest applied migration. @returns it, or null when none is applied */
export function migrateDown(database: Database, migrations = embedded): Migration | null {
  const applied = migrationStatus(database, migrations).filter(status => status.appliedAt !== null)
  const newest = applied.at(-1)
  const migration = migrations.find(candidate => candidate.version === newest?.version)
  if (!migration) return null
  inOneTransaction(database, () => {
    database.run(migration.down)
    database.run('DELETE FROM schema_migrations WHERE version = ?', [migration.version])
  })
  return migration
}

/** Waits within SQLite for another writer: nothing else runs in this process. */
function inOneTransaction(database: Database, work: () => void): void {
  const before = database.query<{ timeout: number }, []>('PRAGMA busy_timeout').get()?.timeout ?? 0
  database.run(`PRAGMA busy_timeout = ${PATIENCE_MS}`)
  try {
    database.transaction(work).immediate()
  } finally {
    database.run(`PRAGMA busy_timeout = ${before}`)
  }
}

function pendingMigrations(database: Database, migrations: readonly Migration[]): Migration[] {
  const status = migrationStatus(database, migrations)
  return migrations.filter((_, index) => status[index]?.appliedAt === null)
}

function appliedVersions(database: Database): Map<number, number> {
  database.run(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)',
  )
  const rows = database
    .query<{ version: number; applied_at: number }, []>(
      'SELECT version, applied_at FROM schema_migrations ORDER BY version',
    )
    .all()
  return new Map(rows.map(row => [row.version, row.applied_at]))
}
