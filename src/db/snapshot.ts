/** Copies databases that others are writing to, and checks whether a copy is whole. */
import { Database } from 'bun:sqlite'
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { SYNC_BYTES } from '../lib/synced-sink.ts'

/** How long a snapshot waits while a program has the database for itself, in milliseconds. */
const PATIENCE_MS = 10_000
/** First bytes of each SQLite database (SQLite file format, section 1.3). */
const MAGIC = 'SQLite format 3\0'

/** Bytes copied between two checks for new commits. */
const STRETCH_BYTES = 8 * 1024 * 1024
const CHUNK_BYTES = 1024 * 1024
/** WAL header, which changes when the log restarts (SQLite file format, section 4.1). */
const LOG_HEADER_BYTES = 32

/**
 * Writes the database as of one instant to a new file, while others read and write it.
 * @param source must not be open in this process otherwise: closing a file drops all POSIX locks of
 * a process on it
 * @param target must not exist
 */
export function snapshotInto(source: string, target: string): void {
  // Closed last, for the same reason.
  const file = openSync(source, 'r')
  try {
    if (hasLog(source)) copyWithLog(file, source, target)
    // Without a log, writers wait until this is done.
    else withDatabase(source, connection => connection.query('VACUUM INTO ?').run(target))
  } finally {
    closeSync(file)
  }
  putTogether(target)
}

/**
 * Copies the file, then its log. Overlapping readers keep the log from restarting meanwhile, so its
 * copy has whatever the file's lacks, and its last commit is the instant. Checkpoints go on: one
 * reader would hold them up, and the next commit would wait for hundreds of megabytes.
 */
function copyWithLog(file: number, source: string, target: string): void {
  using readers = new RelievedReaders(source)
  copyFile(file, target, () => readers.relieve())
  copyLog(`${source}-wal`, `${target}-wal`)
}

/** Keeps at least one read transaction open at any time, as new as possible. */
class RelievedReaders implements Disposable {
  private readonly watcher: Database
  private reader: Database
  private next: Database
  private version: number

  constructor(source: string) {
    const open = () => {
      const connection = new Database(source, { readwrite: true, create: false })
      connection.run(`PRAGMA busy_timeout = ${PATIENCE_MS}`)
      return connection
    }
    this.watcher = open()
    this.reader = open()
    this.next = open()
    this.version = this.begin(this.reader)
  }

  /**
   * Acts only after a commit: a reader that finds everything in the file wouldn't keep the log from
   * restarting. The previous reader keeps later commits out of the file.
   */
  relieve(): void {
    if (dataVersion(this.watcher) === this.version) return
    this.version = this.begin(this.next)
    this.reader.run('COMMIT')
    ;[this.reader, this.next] = [this.next, this.reader]
    this.watcher.run('PRAGMA wal_checkpoint(PASSIVE)')
  }

  private begin(connection: Database): number {
    connection.run('BEGIN')
    // A transaction takes hold at its first read.
    connection.query('SELECT count(*) FROM sqlite_schema').get()
    return dataVersion(this.watcher)
  }

  [Symbol.dispose](): void {
    this.reader.run('COMMIT')
    this.watcher.run('PRAGMA wal_checkpoint(PASSIVE)')
    for (const connection of [this.reader, this.next, this.watcher]) connection.close()
  }
}

/** Changes with each commit of another connection. */
function dataVersion(connection: Database): number {
  return connection.query<{ data_version: number }, []>('PRAGMA data_version').get()?.data_version ?? 0
}

/** Without a commit since the first reader began, the log may restart: then copies again. */
function copyLog(log: string, target: string): void {
  const source = openSync(log, 'r')
  try {
    for (;;) {
      const header = headerOf(source)
      copyFile(source, target)
      if (headerOf(source).equals(header)) return
      rmSync(target)
    }
  } finally {
    closeSync(source)
  }
}

function headerOf(log: number): Buffer {
  const header = Buffer.alloc(LOG_HEADER_BYTES)
  readSync(log, header, 0, header.length, 0)
  return header
}

/**
 * Copies up to the current end; doesn't wait for later additions.
 * @param onStretch called now and then
 */
function copyFile(source: number, target: string, onStretch: () => void = () => undefined): void {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  const handle = openSync(target, 'wx', 0o600)
  try {
    const end = fstatSync(source).size
    let unsynced = 0
    for (let position = 0; position < end; ) {
      const length = readSync(source, chunk, 0, Math.min(chunk.length, end - position), position)
      if (length === 0) break
      for (let written = 0; written < length; )
        written += writeSync(handle, chunk, written, length - written, position + written)
      unsynced += length
      if (unsynced >= SYNC_BYTES) {
        fdatasyncSync(handle)
        unsynced = 0
      }
      if (Math.floor((position + length) / STRETCH_BYTES) > Math.floor(position / STRETCH_BYTES)) onStretch()
      position += length
    }
  } finally {
    closeSync(handle)
  }
}

/** Merges a database's log into its file and removes it. Nobody else may have it open. */
export function putTogether(file: string): void {
  withDatabase(file, connection => connection.run('PRAGMA wal_checkpoint(TRUNCATE)'))
  for (const companion of ['-wal', '-shm']) rmSync(file + companion, { force: true })
}

/** @returns null when the database is whole, else the first defect */
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

function hasLog(file: string): boolean {
  return withDatabase(file, connection => {
    const mode = connection.query<{ journal_mode: string }, []>('PRAGMA journal_mode').get()
    return mode?.journal_mode === 'wal'
  })
}

function withDatabase<T>(file: string, use: (connection: Database) => T): T {
  const connection = new Database(file, { readwrite: true, create: false })
  try {
    connection.run(`PRAGMA busy_timeout = ${PATIENCE_MS}`)
    return use(connection)
  } finally {
    connection.close()
  }
}
