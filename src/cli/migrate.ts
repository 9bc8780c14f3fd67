/** `meshgate migrate up|down|status`. */
import type { Command } from 'commander'
import { openDbAlone } from '../db/lock.ts'
import { migrateDown, migrateUp, migrationStatus } from '../db/migrate.ts'
import type { Db } from '../db/open.ts'
import { rfc3339 } from '../lib/clock.ts'
import { withDatabase } from './database.ts'
import { printTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export function addMigrateCommand(program: Command, terminal: Terminal): void {
  // Changing the tables under a running gateway would break it.
  const alone = (work: (db: Db) => void) => withDatabase(terminal, work, openDbAlone)
  const migrate = program.command('migrate').description('bring the database to this version, or back')
  migrate
    .command('up')
    .description('apply the migrations that are missing')
    .action(() =>
      alone(({ connection }) => {
        const applied = migrateUp(connection, Date.now())
        for (const { version, name } of applied) terminal.print(`applied migration ${version} (${name})`)
        if (applied.length === 0) terminal.print('the database is up to date')
      }),
    )
  migrate
    .command('down')
    .description('revert the newest migration; what its tables held is lost')
    .action(() =>
      alone(({ connection }) => {
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
      withDatabase(terminal, ({ connection }) => {
        const rows = migrationStatus(connection).map(({ version, name, appliedAt }) => [
          String(version),
          name,
          appliedAt === null ? 'not applied' : rfc3339(appliedAt),
        ])
        printTable(terminal, ['migration', 'name', 'applied'], rows)
      }),
    )
}
