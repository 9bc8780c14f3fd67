/**
 * Runs a prepared drizzle query. Drizzle looks at each parameter's and column's class at each run,
 * which costs more than SQLite's own work for a row; here that is done once, when it is prepared.
 */
import type { Statement as SqliteStatement } from 'bun:sqlite'
import { Column, is, Param, Placeholder, SQL } from 'drizzle-orm'

/** Values of a statement's placeholders, by name. */
export type Values = Record<string, unknown>

export interface Prepared<Row> {
  all(values?: Values): Row[]
  get(values?: Values): Row | undefined
  run(values?: Values): unknown
}

/** Parts of drizzle's PreparedQuery for bun:sqlite that its types hide. */
interface DrizzleQuery<Row> extends Prepared<Row> {
  // biome-ignore lint/suspicious/noExplicitAny: a statement takes what SQLite does
  stmt: SqliteStatement<unknown, any[]>
  query: { params: readonly unknown[] }
  fields: readonly Field[] | undefined
  /** By table, whether its row is always there; undefined without joins. */
  joinsNotNullableMap: Record<string, boolean> | undefined
  customResultMapper: unknown
}

interface Field {
  path: readonly string[]
  field: unknown
}

type Convert = (value: unknown) => unknown

/** @param prepared what drizzle's `prepare()` returns */
export function compiled<Row>(prepared: unknown): Prepared<Row> {
  const drizzle = prepared as DrizzleQuery<Row>
  const { stmt, query, fields, joinsNotNullableMap, customResultMapper } = drizzle
  const bind = binder(query.params)
  const run = (values: Values = {}) => stmt.run(...bind(values))
  const mayLackTable = Object.values(joinsNotNullableMap ?? {}).includes(false)
  // Drizzle makes null of the fields of a table that a left join doesn't find.
  if (!fields || customResultMapper || (mayLackTable && fields.some(({ path }) => path.length > 1)))
    return { all: values => drizzle.all(values), get: values => drizzle.get(values), run }
  const toRow = rowMapper(fields) as (cells: unknown[]) => Row
  return {
    all: (values = {}) => stmt.values(...bind(values)).map(toRow),
    get(values = {}) {
      const [cells] = stmt.values(...bind(values))
      return cells && toRow(cells)
    },
    run,
  }
}

/** @returns what makes a query's parameters of its placeholders' values */
function binder(params: readonly unknown[]): (values: Values) => unknown[] {
  const readers = params.map(readerOf)
  return values => readers.map(read => read(values))
}

function readerOf(param: unknown): (values: Values) => unknown {
  if (is(param, Param) && is(param.value, Placeholder)) {
    const { encoder } = param
    const read = named(param.value.name)
    if (encoder.mapToDriverValue === Column.prototype.mapToDriverValue) return read
    return values => encoder.mapToDriverValue(read(values))
  }
  return is(param, Placeholder) ? named(param.name) : () => param
}

function named(name: string): (values: Values) => unknown {
  return values => {
    const value = values[name]
    if (value === undefined && !(name in values)) throw new Error(`no value for the placeholder ${name}`)
    return value
  }
}

/** A field's path is its name, or the names of an object and of the field in it. */
function rowMapper(fields: readonly Field[]): (cells: unknown[]) => Record<string, unknown> {
  const columns = fields.map(({ path, field }) => {
    const [outer = '', inner] = path
    return { outer, inner, convert: decoderOf(field) }
  })
  return cells => {
    const row: Record<string, unknown> = {}
    let index = 0
    for (const { outer, inner, convert } of columns) {
      const cell = cells[index++]
      const value = cell === null || convert === undefined ? cell : convert(cell)
      if (inner === undefined) row[outer] = value
      else {
        row[outer] ??= {}
        const nested = row[outer] as Record<string, unknown>
        nested[inner] = value
      }
    }
    return row
  }
}

/** @returns undefined where a value stays what it is */
function decoderOf(field: unknown): Convert | undefined {
  const aliased = field as SQL.Aliased
  const source = (is(field, Column) ? field : is(field, SQL) ? field : aliased.sql) as
    | Column
    | { decoder: Pick<Column, 'mapFromDriverValue'> }
  const decoder = 'decoder' in source ? source.decoder : source
  if (decoder.mapFromDriverValue === Column.prototype.mapFromDriverValue) return undefined
  return value => decoder.mapFromDriverValue(value)
}
