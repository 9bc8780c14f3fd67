/** Prepares SQL as functions: an owner of tables writes each statement once, with its types. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'

/** Values in order, or one object whose fields `$name` names; that needs a strict database. */
type Params = (SQLQueryBindings | object)[]

/** Writes run on each connection so far. */
const writes = new WeakMap<Database, { count: number }>()

export function statementsOf(database: Database) {
  const counter = writes.get(database) ?? { count: 0 }
  writes.set(database, counter)

  function prepared<Row>(sql: string) {
    const statement = database.prepare<Row, SQLQueryBindings[]>(sql)
    const cost = /^\s*SELECT\b/i.test(sql) ? 0 : 1
    return {
      get(params: Params): Row | undefined {
        counter.count += cost
        return statement.get(...(params as SQLQueryBindings[])) ?? undefined
      },
      all: (params: Params): Row[] => statement.all(...(params as SQLQueryBindings[])),
      run(params: Params): number {
        counter.count += cost
        return statement.run(...(params as SQLQueryBindings[])).changes
      },
    }
  }

  return {
    /** A statement that returns one row; undefined when there is none. */
    one<Row, P extends Params = []>(sql: string) {
      const { get } = prepared<Row>(sql)
      return (...params: P): Row | undefined => get(params)
    },
    /** A statement that returns the only column of one row; undefined when there is none. */
    value<T, P extends Params = []>(sql: string) {
      const { get } = prepared<Record<string, T>>(sql)
      return (...params: P): T | undefined => columnOf(get(params))
    },
    /** A statement that tells if there is a row. */
    has<P extends Params>(sql: string) {
      const { get } = prepared<unknown>(sql)
      return (...params: P): boolean => get(params) !== undefined
    },
    all<Row, P extends Params = []>(sql: string) {
      const { all } = prepared<Row>(sql)
      return (...params: P): Row[] => all(params)
    },
    /** The only column of all rows. */
    values<T, P extends Params = []>(sql: string) {
      const { all } = prepared<Record<string, T>>(sql)
      return (...params: P): T[] => all(params).map(row => columnOf(row) as T)
    },
    /** A write; it returns how many rows it changed. */
    run<P extends Params>(sql: string) {
      const { run } = prepared<unknown>(sql)
      return (...params: P): number => run(params)
    },
    /** How many writes have run on this connection: two numbers tell whether one ran between. */
    writesSoFar: (): number => counter.count,
  }
}

/** The value of a row's only column. */
function columnOf<T>(row: Record<string, T> | undefined): T | undefined {
  for (const column in row) return row[column]
  return undefined
}
