/** Opens the database file: pragmas, drizzle, the shared group commit, and the two ways to it. */
import { Database } from 'bun:sqlite'
import { dirname } from 'node:path'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { SignalPayloads } from '../domain/signals.ts'
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
   * Runs `work` in the next shared transaction. `work` may run twice, if a neighbour in the
   * transaction fails: it may reach outside the database only by `tx.afterCommit`.
   * @returns the result of `work`, once it is on disk. Rejects with its error, with nothing
   * written; with GatewayError storage_full or storage_unavailable when SQLite can't write.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Runs `work` on what is committed now, without waiting for writes. */
  read<T>(work: (reader: Reader) => Promise<T>): Promise<T>
  /**
   * Leaves nothing of what was deleted in the log, either. Tries for some seconds, as others may
   * read in it.
   * @returns false when they didn't let it go: it is overwritten with time
   */
  emptyLog(): Promise<boolean>
  /** The only connection that writes; all parts keep their tables behind it. */
  connection: Database
  orm: Orm
  committer: GroupCommit
  signals: Signals<SignalPayloads>
  /** Commits waiting writes and closes the file. */
  close(): Promise<void>
}

const PRAGMAS = [
  // First: the others may have to wait for another process, such as a command line.
  'PRAGMA busy_timeout = 5000',
  // For a new file, before its first page: free pages can be given back in small steps.
  'PRAGMA auto_vacuum = INCREMENTAL',
  // Readers don't block the writer, and a commit is one append to the log.
  'PRAGMA journal_mode = WAL',
  // A commit returns after its fsync: what we answered 200 survives a power cut.
  'PRAGMA synchronous = FULL',
  'PRAGMA foreign_keys = ON',
  // Deleted texts are overwritten.
  'PRAGMA secure_delete = ON',
  // Keeps at most 32 MiB of pages in memory.
  'PRAGMA cache_size = -32768',
  // Sorting and temporary indexes stay off the disk.
  'PRAGMA temp_store = MEMORY',
  // Checkpoint every 16 MiB of log: fewer stalls under load than the default 4 MiB.
  'PRAGMA wal_autocheckpoint = 4096',
  // After a checkpoint the log file is cut to this many bytes.
  'PRAGMA journal_size_limit = 67108864',
]

/** Reads see another process's writes, such as a command line's, at most this much later. */
const SNAPSHOT_MS = 20
/** After opening: waiting in SQLite stops the whole process, so the group commit waits instead. */
const BUSY_TIMEOUT_MS = 10
/** How long the log is tried to be emptied, and the pause between two tries. */
const EMPTYING_MS = 5_000
const EMPTYING_PAUSE_MS = 20

/** @param path of the database file; created with its folder if missing. @throws StartError */
export function openDb(path: string): Db {
  prepareDataDir(dirname(path))
  const database = new Database(path, { create: true, strict: true })
  closeToOthers(path)
  for (const pragma of PRAGMAS) database.run(pragma)
  database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  const connection: Connection = { database, orm: drizzle(database, { schema }) }
  const committer = new GroupCommit(database, { snapshotMs: SNAPSHOT_MS, translate: asStorageError })
  const readers = new Readers(path, connection, committer)
  const signals = new Signals<SignalPayloads>()
  return {
    write: work => committer.transact(scope => work(new Transaction(connection, scope, signals))),
    read: work => readers.read(work),
    async emptyLog() {
      const deadline = performance.now() + EMPTYING_MS
      while (!(await committer.emptyLog())) {
        if (performance.now() >= deadline) return false
        await Bun.sleep(EMPTYING_PAUSE_MS)
      }
      return true
    },
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
