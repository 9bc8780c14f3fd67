/** The tables in src/db/schema are those that the migrations make. */
import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import { is, type SQL } from 'drizzle-orm'
import { getTableConfig, SQLiteColumn, SQLiteSyncDialect, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { migrateUp } from '../../../src/db/migrate.ts'
import * as schema from '../../../src/db/schema/index.ts'

const database = new Database(':memory:', { strict: true })
migrateUp(database, 0)
afterAll(() => database.close())

const tables = Object.values(schema)
  .filter(value => is(value, SQLiteTable))
  .map(table => getTableConfig(table))

interface ColumnRow {
  name: string
  type: string
  notnull: number
  dflt_value: string | null
  pk: number
}
interface IndexRow {
  name: string
  unique: number
  origin: 'c' | 'u' | 'pk'
  partial: number
}
interface ForeignKeyRow {
  id: number
  seq: number
  table: string
  from: string
  to: string
  on_delete: string
}

const pragma = <Row>(name: string, argument: string): Row[] =>
  database.query<Row, []>(`PRAGMA ${name}("${argument}")`).all()

const byName = <T extends { name: string }>(list: T[]): T[] =>
  list.toSorted((a, b) => (a.name < b.name ? -1 : 1))

test('there is a table for each definition and a definition for each of the gateway’s tables', () => {
  const made = database
    .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all()
    .map(row => row.name)
    // Homeserver and sandbox keep their own tables; others are SQLite's and the migrations'.
    .filter(name => !/^(hs_|sandbox_|sqlite_|chat_search|schema_migrations$)/.test(name))
  expect(tables.map(table => table.name).toSorted()).toEqual(made)
})

describe.each(tables.map(table => [table.name, table] as const))('%s', (name, table) => {
  test('columns: type, not null, default', () => {
    const defined = table.columns.map(column => ({
      name: column.name,
      type: column.getSQLType(),
      // SQLite lets a primary key be null unless forbidden; ours never are.
      notNull: column.notNull || column.primary,
      default: column.default === undefined ? null : String(column.default),
    }))
    const made = pragma<ColumnRow>('table_info', name).map(column => ({
      name: column.name,
      type: column.type.toLowerCase(),
      notNull: column.notnull === 1,
      default: column.dflt_value,
    }))
    expect(byName(made)).toEqual(byName(defined))
  })

  test('primary key', () => {
    const single = table.columns.filter(column => column.primary).map(column => column.name)
    const composite = table.primaryKeys.flatMap(key => key.columns.map(column => column.name))
    const made = pragma<ColumnRow>('table_info', name)
      .filter(column => column.pk > 0)
      .toSorted((a, b) => a.pk - b.pk)
      .map(column => column.name)
    expect(made).toEqual([...single, ...composite])
  })

  test('autoincrement', () => {
    const defined = table.columns.some(column => 'autoIncrement' in column && column.autoIncrement === true)
    expect(createSqlOf(name).includes('AUTOINCREMENT')).toBe(defined)
  })

  test('indexes: columns, uniqueness, condition', () => {
    const defined = [
      ...table.indexes.map(({ config }) => ({
        name: config.name,
        unique: config.unique,
        columns: config.columns.map(column => (is(column, SQLiteColumn) ? column.name : 'an expression')),
        where: config.where ? sqlText(config.where) : null,
      })),
      ...table.columns
        .filter(column => column.isUnique)
        .map(column => ({
          name: column.uniqueName ?? '',
          unique: true,
          columns: [column.name],
          where: null,
        })),
    ]
    const made = pragma<IndexRow>('index_list', name)
      .filter(index => index.origin !== 'pk')
      .map(index => ({
        name: index.name,
        unique: index.unique === 1,
        columns: columnsOfIndex(index.name),
        where: index.partial ? (/ WHERE (.*)$/s.exec(createSqlOf(index.name))?.[1] ?? '') : null,
      }))
    expect(byName(made)).toEqual(byName(defined))
  })

  test('foreign keys', () => {
    const defined = table.foreignKeys.map(key => {
      const { columns, foreignColumns, foreignTable } = key.reference()
      return {
        name: columns.map(column => column.name).join(),
        table: getTableConfig(foreignTable).name,
        to: foreignColumns.map(column => column.name).join(),
        onDelete: key.onDelete ?? 'no action',
      }
    })
    const made = pragma<ForeignKeyRow>('foreign_key_list', name).map(key => ({
      name: key.from,
      table: key.table,
      to: key.to,
      onDelete: key.on_delete.toLowerCase(),
    }))
    expect(byName(made)).toEqual(byName(defined))
  })
})

function columnsOfIndex(name: string): string[] {
  return pragma<{ name: string | null }>('index_info', name).map(column => column.name ?? 'an expression')
}

function createSqlOf(name: string): string {
  return (
    database.query<{ sql: string | null }, [string]>('SELECT sql FROM sqlite_master WHERE name = ?').get(name)
      ?.sql ?? ''
  )
}

function sqlText(condition: SQL): string {
  return new SQLiteSyncDialect().sqlToQuery(condition).sql
}
