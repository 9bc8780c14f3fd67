/**
 * Reads use the writing connection, which is nearly always free and shares one read transaction
 * among them (`lib/read-snapshot.ts`): half the cost of a second connection. Only during a write,
 * whose rows must not be seen yet, do reads use a second one.
 */
import { Database } from 'bun:sqlite'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { GroupCommit } from '../lib/group-commit.ts'
import * as schema from './schema/index.ts'
import type { Connection } from './statement.ts'
import { Executor, type Reader } from './transaction.ts'

const PRAGMAS = [
  'PRAGMA busy_timeout = 10',
  // 2 MiB of pages: this connection is seldom used.
  'PRAGMA cache_size = -2048',
  'PRAGMA temp_store = MEMORY',
  'PRAGMA query_only = ON',
]

export class Readers {
  private readonly main: Reader
  private second: { database: Database; reader: Reader } | undefined
  /** Number of reads in the second connection's read transaction. */
  private sharing = 0

  /** @param path of the database file. @param committer of the writes on `connection` */
  constructor(
    private readonly path: string,
    connection: Connection,
    private readonly committer: Pick<GroupCommit, 'isWriting' | 'isInsideWork'>,
  ) {
    this.main = new Executor(connection, () => {
      if (committer.isWriting) throw new Error('a read may await nothing but its own statements')
    })
  }

  read<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    return this.committer.isWriting ? this.readBeside(work) : work(this.main)
  }

  close(): void {
    this.second?.database.close()
  }

  /** While a write is open, whose rows must not be seen. */
  private async readBeside<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    if (this.committer.isInsideWork)
      throw new Error('a read inside a write sees none of its rows: use the transaction')
    const { database, reader } = this.openSecond()
    if (this.sharing++ === 0) database.run('BEGIN')
    try {
      return await work(reader)
    } finally {
      if (--this.sharing === 0) database.run('COMMIT')
    }
  }

  private openSecond(): { database: Database; reader: Reader } {
    if (this.second) return this.second
    const database = new Database(this.path, { readwrite: true, strict: true })
    for (const pragma of PRAGMAS) database.run(pragma)
    const connection: Connection = { database, orm: drizzle(database, { schema }) }
    this.second = { database, reader: new Executor(connection, () => undefined) }
    return this.second
  }
}
