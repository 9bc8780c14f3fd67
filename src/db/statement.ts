/** Queries built once, and prepared once for each connection that runs them. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import type { BunSQLiteDatabase } from 'drizzle-orm/bun-sqlite'
import { compiled, type Prepared } from './prepared.ts'
import type * as schema from './schema/index.ts'

export type Orm = BunSQLiteDatabase<typeof schema>

/** A drizzle query, prepared or not. */
interface Runnable {
  // biome-ignore lint/suspicious/noExplicitAny: drizzle's own types of the rows are read off by RowOf
  all(values?: any): unknown
}

/** Rows a drizzle query returns. */
export type RowOf<Query> = Query extends { all(values?: never): infer Rows }
  ? Rows extends readonly (infer Row)[]
    ? Row
    : never
  : never

export interface Connection {
  readonly database: Database
  readonly orm: Orm
}

/** A constant in its query's file, with `sql.placeholder(name)` or those of `stable-params.ts`. */
export class Statement<Row> {
  private readonly prepared = new WeakMap<Connection, Prepared<Row>>()

  constructor(private readonly prepare: (on: Connection) => Prepared<Row>) {}

  on(connection: Connection): Prepared<Row> {
    const known = this.prepared.get(connection)
    if (known) return known
    const made = this.prepare(connection)
    this.prepared.set(connection, made)
    return made
  }
}

/** @param build drizzle's query builder, called once for each connection */
export function statement<Query extends { prepare(): Runnable }>(
  build: (orm: Orm) => Query,
): Statement<RowOf<ReturnType<Query['prepare']>>> {
  return new Statement(({ orm }) => compiled(build(orm).prepare()))
}

/** For SQL that drizzle can't express. @param text SQL, with parameters as `$name` */
export function sqlStatement<Row>(text: string): Statement<Row> {
  return new Statement(({ database }) => {
    const query = database.prepare<Row, [SQLQueryBindings]>(text)
    return {
      all: (values = {}) => query.all(values as SQLQueryBindings),
      get: (values = {}) => query.get(values as SQLQueryBindings) ?? undefined,
      run: (values = {}) => query.run(values as SQLQueryBindings),
    }
  })
}
