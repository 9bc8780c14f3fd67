/** Opens the database file: pragmas, drizzle, and the shared group commit. */
import { Database } from 'bun:sqlite'
import { dirname } from 'node:path'
import { type BunSQLiteDatabase, drizzle } from 'drizzle-orm/bun-sqlite'
import { GroupCommit } from '../lib/group-commit.ts'
import { closeToOthers, prepareDataDir } from './data-dir.ts'
import * as schema from './schema/index.ts'
import { asStorageError } from './storage-errors.ts'

export type Orm = BunSQLiteDatabase<typeof schema>

export interface Db {
  /** The one connection of the process; every table of every part lives behind it. */
  connection: Database
  orm: Orm
  committer: GroupCommit
  /** Commits what waits and closes the file. */
  close(): void
}

/** Each pragma with its reason. */
const PRAGMAS = [
  // First: the others may have to wait for another process (a command line beside the running gateway).
  'PRAGMA busy_timeout = 5000',
  // Of a new file: pages that rows leave free can be given back in small steps. It has to come before the first page is written.
  'PRAGMA auto_vacuum = INCREMENTAL',
  // Readers don't block the writer, and a commit is one append to the log.
  'PRAGMA journal_mode = WAL',
  // A commit returns after its fsync: what was answered 200 survives a power cut.
  'PRAGMA synchronous = FULL',
  'PRAGMA foreign_keys = ON',
  // 32 MiB of pages at most in memory.
  'PRAGMA cache_size = -32768',
  // Sorting and temporary indexes stay off the disk.
  'PRAGMA temp_store = MEMORY',
  // Checkpoint every 16 MiB of log: fewer stalls under load than the default 4 MiB.
  'PRAGMA wal_autocheckpoint = 4096',
  // After a checkpoint the log file is cut back to this size in bytes.
  'PRAGMA journal_size_limit = 67108864',
]

/** Reads see what another process (a command line beside the running gateway) has written after this at the latest. */
const SNAPSHOT_MS = 20
/** Once it is open. Whoever waits within SQLite stops the whole process; the group commit waits outside of it, and for longer. */
const BUSY_TIMEOUT_MS = 10

/** @param path of the database file, created with its folder when missing. @throws StartError when the folder can't be made */
export function openDb(path: string): Db {
  prepareDataDir(dirname(path))
  const connection = new Database(path, { create: true, strict: true })
  closeToOthers(path)
  for (const pragma of PRAGMAS) connection.run(pragma)
  connection.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  const committer = new GroupCommit(connection, { snapshotMs: SNAPSHOT_MS, translate: asStorageError })
  return {
    connection,
    orm: drizzle(connection, { schema }),
    committer,
    close() {
      committer.close()
      connection.close()
    },
  }
}
