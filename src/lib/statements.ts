/** Prepares SQL as functions: an owner of tables writes each statement once, with its types. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'

type Params = SQLQueryBindings[]

/** Writes run on each connection so far. */
const writes = new WeakMap<Database, { count: number }>()

export function statementsOf(database: Database) {
  const counter = writes.get(database) ?? { count: 0 }
  writes.set(database, counter)

  function prepared<Row>(sql: string) {
    return { statement: database.prepare<Row, Params>(sql), cost: /^\s*SELECT\b/i.test(sql) ? 0 : 1 }
  }

  return {
    /** A statement that returns one row; undefined when there is none. */
    one<Row, P extends Params = []>(sql: string) {
      const { statement, cost } = prepared<Row>(sql)
      return (...params: P): Row | undefined => {
        counter.count += cost
        return statement.get(...params) ?? undefined
      }
    },
    all<Row, P extends Params = []>(sql: string) {
      const { statement } = prepared<Row>(sql)
      return (...params: P): Row[] => statement.all(...params)
    },
    /** A write; it returns how many rows it changed. */
    run<P extends Params>(sql: string) {
      const { statement, cost } = prepared<unknown>(sql)
      return (...params: P): number => {
        counter.count += cost
        return statement.run(...params).changes
      }
    },
    /** How many writes have run on this connection: two numbers tell whether one ran between. */
    writesSoFar: (): number => counter.count,
  }
}
