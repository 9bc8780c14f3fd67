/** A migrated database in a temporary folder, removed with it. */
import { migrateUp } from '../../src/db/migrate.ts'
import { type Db, openDb } from '../../src/db/open.ts'
import { tempDir } from './temp-dir.ts'

export interface TempDb extends Db {
  /** Closes the database and deletes its folder. */
  destroy(): Promise<void>
}

export function tempDb(): TempDb {
  const folder = tempDir()
  const db = openDb(folder.file('meshgate.db'))
  migrateUp(db.connection, 0)
  return {
    ...db,
    async destroy() {
      await db.close()
      folder[Symbol.dispose]()
    },
  }
}
