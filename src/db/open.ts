/** Opens the database file: pragmas, drizzle, the shared group commit, and the two ways to it. */
import { Database } from 'bun:sqlite'
import { dirname } from 'node:path'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { SignalName } from '../domain/signals.ts'
import { GroupCommit } from '../lib/group-commit.ts'
import { Signals } from '../lib/signals.ts'
import { closeToOthers, prepareDataDir } from './data-dir.ts'
import { Readers } from './readers.ts'
import * as schema from './schema/index.ts'
import type { Connection, Orm } from './statement.ts'
import { asStorageError } from './storage-errors.ts'
import { type Reader, Transaction, type Tx } from './transaction.ts'

export interface Db {
  /**
   * Runs `work` in the next shared transaction. It may run twice, when a neighbour in the
   * transaction fails, and so has no effect outside the database but by `tx.afterCommit`.
   * @returns what `work` returned, once it is on disk. Rejects with what it threw, nothing of it
   * being written; with a GatewayError storage_full or storage_unavailable when SQLite can't write.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Runs `work` on what is committed now, without waiting for writes. */
  read<T>(work: (reader: Reader) => Promise<T>): Promise<T>
  /** The one connection that writes; every table of every part lives behind it. */
  connection: Database
  orm: Orm
  committer: GroupCommit
  signals: Signals<SignalName>
  /** Commits what waits and closes the file. */
  close(): Promise<void>
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
  const database = new Database(path, { create: true, strict: true })
  closeToOthers(path)
  for (const pragma of PRAGMAS) database.run(pragma)
  database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  const connection: Connection = { database, orm: drizzle(database, { schema }) }
  const committer = new GroupCommit(database, { snapshotMs: SNAPSHOT_MS, translate: asStorageError })
  const readers = new Readers(path, connection, committer)
  const signals = new Signals<SignalName>()
  return {
    write: work => committer.transact(scope => work(new Transaction(connection, scope, signals))),
    read: work => readers.read(work),
    connection: database,
    orm: connection.orm,
    committer,
    signals,
    async close() {
      await committer.close()
      readers.close()
      database.close()
    },
  }
}
