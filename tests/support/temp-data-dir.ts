/** A DATA_DIR as a stopped gateway leaves it, with an empty database. */
import { join } from 'node:path'
import { migrateUp } from '../../src/db/migrate.ts'
import { openDb } from '../../src/db/open.ts'

export async function createTempGatewayData(dir: string): Promise<void> {
  const db = openDb(join(dir, 'meshgate.db'))
  migrateUp(db.connection, 0)
  await db.close()
}
