/** Prints the database that the migrations make: `bun scripts/schema.ts > docs/schema.sql`. */
import { Database } from 'bun:sqlite'
import { migrateUp } from '../src/db/migrate.ts'

const HEAD = '-- Printed from the migrations by `make schema`; a test compares.'

/** @returns the SQL of every table, in order of their names, each with its indexes and triggers */
export function printedSchema(): string {
  using database = new Database(':memory:')
  migrateUp(database, 0)
  const objects = database
    .query<{ sql: string }, []>(`
      SELECT sql FROM sqlite_master
      WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'chat_search_%'
      ORDER BY tbl_name, type = 'table' DESC, type, name
    `)
    .all()
  return [HEAD, ...objects.map(({ sql }) => `${sql};`)].map(text => `${text}\n`).join('\n')
}

if (import.meta.main) process.stdout.write(printedSchema())
