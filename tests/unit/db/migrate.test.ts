/** Migrations: up, down, status, and refusal of a database newer than the program. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { migrations as embedded, type Migration } from '../../../migrations/index.ts'
import { migrateDown, migrateUp, migrationStatus, NewerDatabaseError } from '../../../src/db/migrate.ts'
import { eventStore } from '../../../src/homeserver/store/events.ts'

const FIRST: Migration = {
  version: 1,
  name: 'first',
  up: 'CREATE TABLE one (id); CREATE INDEX one_id ON one (id);',
  down: 'DROP TABLE one;',
}
const SECOND: Migration = {
  version: 2,
  name: 'second',
  up: 'CREATE TABLE two (id);',
  down: 'DROP TABLE two;',
}

let database: Database

beforeEach(() => {
  database = new Database(':memory:', { strict: true })
  database.run('PRAGMA foreign_keys = ON')
})

afterEach(() => database.close())

const schemaOf = () =>
  database
    .query<{ sql: string }, []>(
      "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT IN ('schema_migrations', 'sqlite_sequence') ORDER BY name",
    )
    .all()
    .map(row => row.sql)

describe('up', () => {
  test('applies what is missing, in order, once', () => {
    expect(migrateUp(database, 1_000, [FIRST])).toEqual([FIRST])
    expect(migrateUp(database, 2_000, [FIRST, SECOND])).toEqual([SECOND])
    expect(migrateUp(database, 3_000, [FIRST, SECOND])).toEqual([])
    expect(migrationStatus(database, [FIRST, SECOND])).toEqual([
      { version: 1, name: 'first', appliedAt: 1_000 },
      { version: 2, name: 'second', appliedAt: 2_000 },
    ])
  })

  test('leaves nothing of a migration that fails, and keeps those before it', () => {
    const broken = { ...SECOND, up: 'CREATE TABLE two (id); CREATE TABLE two (id);' }
    expect(() => migrateUp(database, 1_000, [FIRST, broken])).toThrow('already exists')
    expect(schemaOf()).toHaveLength(2)
    expect(migrationStatus(database, [FIRST, broken]).map(status => status.appliedAt)).toEqual([1_000, null])
  })
})

describe('down', () => {
  test('reverts one at a time, the newest first, until none is left', () => {
    migrateUp(database, 1_000, [FIRST, SECOND])
    expect(migrateDown(database, [FIRST, SECOND])).toBe(SECOND)
    expect(migrateDown(database, [FIRST, SECOND])).toBe(FIRST)
    expect(migrateDown(database, [FIRST, SECOND])).toBeNull()
    expect(schemaOf()).toEqual([])
  })
})

test('a database that a newer version migrated is refused by all three', () => {
  migrateUp(database, 1_000, [FIRST, SECOND])
  for (const call of [
    () => migrationStatus(database, [FIRST]),
    () => migrateUp(database, 2_000, [FIRST]),
    () => migrateDown(database, [FIRST]),
  ]) {
    expect(call).toThrow(NewerDatabaseError)
    expect(call).toThrow('migration 2')
  }
})

describe('the embedded migrations', () => {
  test('have ascending versions and a text each way', () => {
    expect(embedded.map(migration => migration.version)).toEqual(embedded.map((_, index) => index + 1))
    for (const { up, down } of embedded) {
      expect(up).toMatch(/CREATE (TABLE|INDEX)|ALTER TABLE|ANALYZE/)
      expect(down).toMatch(/DROP (TABLE|INDEX)|ALTER TABLE/)
    }
  })

  test('go down to nothing and up again to the same', () => {
    migrateUp(database, 1_000)
    const before = schemaOf()
    for (const _ of embedded) migrateDown(database)
    expect(schemaOf()).toEqual([])
    migrateUp(database, 2_000)
    expect(schemaOf()).toEqual(before)
  })

  test('go up over an event whose content is nested deeper than SQLite reads', () => {
    const upTo = embedded.filter(({ version }) => version < 20)
    migrateUp(database, 1_000, upTo)
    const content = `{"m.relates_to":{"key":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`
    database.run("INSERT INTO hs_rooms (room, room_id, version, created_at) VALUES (1, '!r:s', '11', 0)")
    database.run(
      `INSERT INTO hs_events (stream_id, event_id, room, type, sender, origin_server_ts, content, relates_to, rel_type)
       VALUES (1, '$deep', 1, 'm.reaction', '@a:s', 0, ?, '$a', 'm.annotation')`,
      [content],
    )
    migrateUp(database, 2_000)
    const query = { sender: '@a:s', key: '👍', type: 'm.reaction', room: 1 }
    expect(eventStore(database).isAnnotated('$a', query)).toBe(false)
  })

  test('leave sound foreign keys', () => {
    migrateUp(database, 1_000)
    expect(database.query('PRAGMA foreign_key_check').all()).toEqual([])
    // SQLite reports a reference to a missing table only when a row is deleted.
    const tables = database
      .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .all()
    for (const { name } of tables) {
      for (const key of database.query<{ table: string }, []>(`PRAGMA foreign_key_list(${name})`).all()) {
        expect(tables.map(table => table.name)).toContain(key.table)
      }
    }
  })
})
