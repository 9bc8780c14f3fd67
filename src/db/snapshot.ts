/** Copies of databases that others are writing to, and whether a copy is whole. */
import { Database } from 'bun:sqlite'
import { closeSync, openSync, readSync, rmSync } from 'node:fs'

/** How long a snapshot waits for a program that holds the database for itself, in milliseconds. */
const PATIENCE_MS = 10_000
/** What each SQLite database begins with (SQLite file format, section 1.3). */
const MAGIC = 'SQLite format 3\0'

/**
 * Writes the database as it is at this instant to a new file, while other processes go on reading and writing it.
 * @param target must not exist
 */
export function snapshotInto(source: string, target: string): void {
  const connection = new Database(source, { readwrite: true, create: false })
  let isWal: boolean
  try {
    connection.run(`PRAGMA busy_timeout = ${PATIENCE_MS}`)
    isWal = journalMode(connection) === 'wal'
    // In one read transaction; what is committed meanwhile goes to the log and not into the copy.
    connection.query('VACUUM INTO ?').run(target)
  } finally {
    connection.close()
  }
  // The mode is kept in the file, and a copy has the default: whoever opens it is to find what was there.
  if (isWal) withDatabase(target, copy => copy.run('PRAGMA journal_mode = WAL'))
  putTogether(target)
}

/** Brings into a database's file what stands in its log, which nobody needs then. Nobody else may have it open. */
export function putTogether(file: string): void {
  withDatabase(file, connection => connection.run('PRAGMA wal_checkpoint(TRUNCATE)'))
  for (const companion of ['-wal', '-shm']) rmSync(file + companion, { force: true })
}

/** @returns null when the database is whole, else the first thing that is wrong with it */
export function damageOf(file: string): string | null {
  try {
    return withDatabase(file, connection => {
      const first = connection.query<{ integrity_check: string }, []>('PRAGMA integrity_check(1)').get()
      return first?.integrity_check === 'ok' ? null : (first?.integrity_check ?? 'it can not be checked')
    })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function isDatabase(file: string): boolean {
  const head = Buffer.alloc(MAGIC.length)
  const handle = openSync(file, 'r')
  try {
    return readSync(handle, head) === MAGIC.length && head.toString('latin1') === MAGIC
  } finally {
    closeSync(handle)
  }
}

function journalMode(connection: Database): string | undefined {
  return connection.query<{ journal_mode: string }, []>('PRAGMA journal_mode').get()?.journal_mode
}

function withDatabase<T>(file: string, use: (connection: Database) => T): T {
  const connection = new Database(file, { readwrite: true, create: false })
  try {
    return use(connection)
  } finally {
    connection.close()
  }
}
