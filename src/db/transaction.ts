/**
 * The two ways to the database. A read sees what is committed; a write is a work whose statements
 * reach the disk together or not at all. Both await nothing but their own statements, since others
 * wait behind them.
 */
import type { Emits, HintName } from '../domain/signals.ts'
import { TransactionEnded, type TransactionScope } from '../lib/transaction-scope.ts'
import type { Values } from './prepared.ts'
import { type Connection, type Orm, type RowOf, Statement } from './statement.ts'

/** A query used once, built where it is used. */
type Build<Query> = (orm: Orm) => Query
interface Rows {
  // biome-ignore lint/suspicious/noExplicitAny: drizzle's own types of the rows are read off by RowOf
  all(values?: any): unknown
}

/** Runs queries that change nothing. */
export interface Reader {
  all<Row>(query: Statement<Row>, values?: Values): Promise<Row[]>
  all<Query extends Rows>(query: Build<Query>): Promise<RowOf<Query>[]>
  /** @returns the first row, or undefined */
  get<Row>(query: Statement<Row>, values?: Values): Promise<Row | undefined>
  get<Query extends Rows>(query: Build<Query>): Promise<RowOf<Query> | undefined>
}

/** An open transaction. Every function that writes takes it first and awaits each statement. */
export interface Tx extends Reader {
  run(query: Statement<unknown>, values?: Values): Promise<void>
  run(query: Build<{ run(): unknown }>): Promise<void>
  /** Runs `effect` once the transaction is on disk; never if it is rolled back. */
  afterCommit(effect: () => void): void
  /** Emits the signal once the transaction is on disk, once however often it is called. */
  emit(signal: HintName): void
}

interface DrizzleQuery {
  all(): unknown[]
  get(): unknown
  run(): unknown
}

/** Runs queries on a connection while `check` allows it. */
export class Executor implements Reader {
  constructor(
    private readonly connection: Connection,
    /** @throws Error when nothing may run any more */
    private readonly check: () => void,
  ) {}

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of the interface say what comes out
  async all(query: Statement<any> | Build<any>, values?: Values): Promise<any> {
    return this.prepared(query).all(values)
  }

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of the interface say what comes out
  async get(query: Statement<any> | Build<any>, values?: Values): Promise<any> {
    return this.prepared(query).get(values)
  }

  async run(query: Statement<unknown> | Build<unknown>, values?: Values): Promise<void> {
    this.prepared(query).run(values)
  }

  private prepared(query: Statement<unknown> | Build<unknown>) {
    this.check()
    if (query instanceof Statement) return query.on(this.connection)
    return query(this.connection.orm) as DrizzleQuery & { all(values?: Values): unknown }
  }
}

export class Transaction extends Executor implements Tx {
  private readonly emitted = new Set<HintName>()

  constructor(
    connection: Connection,
    private readonly scope: TransactionScope,
    private readonly signals: Emits<HintName>,
  ) {
    super(connection, () => {
      if (!scope.isOpen) throw new TransactionEnded()
    })
  }

  afterCommit(effect: () => void): void {
    this.scope.afterCommit(effect)
  }

  emit(signal: HintName): void {
    if (this.emitted.has(signal)) return
    this.emitted.add(signal)
    this.afterCommit(() => this.signals.emit(signal))
  }
}
