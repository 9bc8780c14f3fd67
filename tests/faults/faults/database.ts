/** Holds the database's write lock, as a long command or a backup tool might. */
import { Database } from 'bun:sqlite'

export async function holdWriteLock(file: string, forMs: number): Promise<void> {
  const other = new Database(file)
  try {
    other.run('PRAGMA busy_timeout = 5000')
    other.run('BEGIN IMMEDIATE')
    await Bun.sleep(forMs)
    other.run('ROLLBACK')
  } finally {
    other.close()
  }
}
