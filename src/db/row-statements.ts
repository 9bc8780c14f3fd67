/** Statements that most tables have: rows by equal columns, if there is any, and putting one. */
import { and, eq, getTableColumns, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { ONE } from './stable-params.ts'
import { type Statement, statement } from './statement.ts'

type ColumnOf<Table extends SQLiteTable> = keyof Table['_']['columns'] & string

/** Compares columns with placeholders of their names: `chats.roomId` with `roomId`. */
export function equal<Table extends SQLiteTable>(table: Table, ...names: ColumnOf<Table>[]): SQL {
  const columns: Record<string, SQLiteColumn> = getTableColumns(table)
  return and(...names.map(name => eq(columns[name] as SQLiteColumn, sql.placeholder(name)))) as SQL
}

/** Placeholders of these names, as the values of an insert. */
export function given<Name extends string>(...names: Name[]): Record<Name, Placeholder<Name>> {
  return Object.fromEntries(names.map(name => [name, sql.placeholder(name)])) as never
}

/** Selects whole rows whose columns equal the values given by their names. */
export function rowsBy<Table extends SQLiteTable>(
  table: Table,
  ...names: ColumnOf<Table>[]
): Statement<Table['$inferSelect']> {
  const from: SQLiteTable = table
  return statement(orm =>
    orm
      .select()
      .from(from)
      .where(equal(table, ...names)),
  )
}

/** Selects something, once, if there is such a row. */
export function anyWhere(table: SQLiteTable, condition: SQL): Statement<{ found: unknown }> {
  return statement(orm => orm.select({ found: sql`1` }).from(table).where(condition).limit(ONE))
}

/** Inserts a row, or gives the one with this key the other values. */
export function putRow<Table extends SQLiteTable>(
  table: Table,
  key: readonly ColumnOf<Table>[],
  others: readonly ColumnOf<Table>[],
): Statement<unknown> {
  const columns: Record<string, SQLiteColumn> = getTableColumns(table)
  const target = key.map(name => columns[name] as SQLiteColumn)
  const excluded = (name: string) => sql.raw(`excluded.${columns[name]?.name}`)
  const set = Object.fromEntries(others.map(name => [name, excluded(name)]))
  return statement(orm =>
    orm
      .insert(table)
      .values(given(...key, ...others) as never)
      .onConflictDoUpdate({ target, set: set as never }),
  )
}
