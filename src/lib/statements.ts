/** Prepares SQL as functions: an owner of tables writes each statement once, with its types. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'

type Params = SQLQueryBindings[]

export function statementsOf(database: Database) {
  return {
    /** A query for one row; undefined when there is none. */
    one<Row, P extends Params = []>(sql: string) {
      const statement = database.prepare<Row, Params>(sql)
      return (...params: P): Row | undefined => statement.get(...params) ?? undefined
    },
    all<Row, P extends Params = []>(sql: string) {
      const statement = database.prepare<Row, Params>(sql)
      return (...params: P): Row[] => statement.all(...params)
    },
    /** A write; it returns how many rows it changed. */
    run<P extends Params>(sql: string) {
      const statement = database.prepare<unknown, Params>(sql)
      return (...params: P): number => statement.run(...params).changes
    },
  }
}
