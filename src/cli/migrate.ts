/** `meshgate migrate up|down|status`. */
import type { Command } from 'commander'
import { openDbAlone } from '../db/lock.ts'
import { migrateDown, migrateUp, migrationStatus } from '../db/migrate.ts'
import { type Db, openDb } from '../db/open.ts'
import { rfc3339 } from '../lib/clock.ts'
import { namingDatabase } from './failures.ts'
import { textTable } from './table.ts'
import { loadConfig, type Terminal } from './terminal.ts'

export function addMigrateCommand(program: Command, terminal: Terminal): void {
  const migrate = program.command('migrate').description('bring the database to this version, or back')
  migrate
    .command('up')
    .description('apply the migrations that are missing')
    .action(() =>
      alone(terminal, ({ connection }) => {
        const applied = migrateUp(connection, Date.now())
        for (const { version, name } of applied) terminal.print(`applied migration ${version} (${name})`)
        if (applied.length === 0) terminal.print('the database is up to date')
      }),
    )
  migrate
    .command('down')
    .description('revert the newest migration; what its tables held is lost')
    .action(() =>
      alone(terminal, ({ connection }) => {
        const reverted = migrateDown(connection)
        terminal.print(
          reverted
            ? `reverted migration ${reverted.version} (${reverted.name})`
            : 'there is no migration to revert',
        )
      }),
    )
  migrate
    .command('status')
    .description('list the migrations and when each was applied')
    .action(() =>
      besideOthers(terminal, ({ connection }) => {
        const rows = migrationStatus(connection).map(({ version, name, appliedAt }) => [
          String(version),
          name,
          appliedAt === null ? 'not applied' : rfc3339(appliedAt),
        ])
        for (const line of textTable(['migration', 'name', 'applied'], rows)) terminal.print(line)
      }),
    )
}

/** Changing the tables under a running gateway would break it. */
function alone(terminal: Terminal, work: (db: Db) => void): Promise<void> {
  return withDatabase(terminal, openDbAlone, work)
}

function besideOthers(terminal: Terminal, work: (db: Db) => void): Promise<void> {
  return withDatabase(terminal, openDb, work)
}

async function withDatabase(
  terminal: Terminal,
  open: (file: string) => Db,
  work: (db: Db) => void,
): Promise<void> {
  const { databaseFile } = loadConfig(terminal).config.data
  try {
    const db = open(databaseFile)
    try {
      work(db)
    } finally {
      await db.close()
    }
  } catch (error) {
    throw namingDatabase(error, databaseFile)
  }
}
