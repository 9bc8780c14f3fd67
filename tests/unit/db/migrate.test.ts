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
      expect(up).toMatch(/CREATE (VIRTUAL )?(TABLE|INDEX)|ALTER TABLE|ANALYZE|UPDATE chats|INSERT INTO/)
      expect(down).toMatch(/DROP (TABLE|INDEX)|ALTER TABLE|UPDATE chats|INSERT INTO|DELETE FROM/)
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
    const query = { target: '$a', sender: '@a:s', key: '👍', type: 'm.reaction', room: 1 }
    expect(eventStore(database).annotation(query)).toBeUndefined()
  })

  test('go from chats that were all groups to channels and the chat of status posts, and back', () => {
    migrateUp(
      database,
      1_000,
      embedded.filter(({ version }) => version < 36),
    )
    database.run(`INSERT INTO identities (id, matrix_user_id, matrix_device_id, is_host, created_at, updated_at)
      VALUES ('id_1', '@mg1:s', 'D', 0, 0, 0)`)
    const channels = ['12@g.us', '34@newsletter', 'status@broadcast', '1@s.whatsapp.net']
    for (const channel of channels)
      database.run(
        `INSERT INTO chats (identity_id, room_id, membership, kind, channel_id, name, encrypted, created_at, updated_at)
         VALUES ('id_1', ?1, 'joined', ?2, ?1, '', 0, 0, 0)`,
        [channel, channel.endsWith('net') ? 'dm' : 'group'],
      )
    const kinds = () => database.query('SELECT kind FROM chats ORDER BY room_id').values().flat()
    const before = kinds()
    migrateUp(database, 2_000)
    expect(kinds()).toEqual(['group', 'dm', 'channel', 'status'])
    const last = embedded.filter(({ version }) => version >= 36)
    for (const _ of last) migrateDown(database)
    expect(kinds()).toEqual(before)
  })

  test('go from times that lanes were given to the pace of their devices, and back with all that waits', () => {
    migrateUp(
      database,
      1_000,
      embedded.filter(({ version }) => version < 30),
    )
    database.run(`
      INSERT INTO outbox_lanes (lane, device_row_id, due_at, lease_id, has_slot) VALUES
        ('dev_1/a', 'dev_1', 20000, NULL, 1), ('dev_1/b', 'dev_1', 12000, NULL, 1),
        ('dev_1/c', 'dev_1', 5000, NULL, 0), ('dev_3/d', 'dev_3', 6000, 'lease', 0);
      INSERT INTO device_paces (device_row_id, rest_at) VALUES ('dev_1', 52000), ('dev_2', 9000);
      INSERT INTO early_statuses (event_id, sender, status, reason, received_at) VALUES ('$1', '@bot:s', 'sent', NULL, 1);
      INSERT INTO identities (id, matrix_user_id, matrix_device_id, is_host, created_at, updated_at)
        VALUES ('id_1', '@mg1:s', 'D', 0, 0, 0);
      INSERT INTO devices (id, identity_id, platform, login_id, device_id, name, state, state_since, linked_at, created_at, updated_at, void_through)
        VALUES ('dev_1', 'id_1', 'wa', '237', '237', 'Amina', 'connected', 0, 0, 0, 0, 7)`)
    migrateUp(database, 2_000)
    expect(database.query('SELECT * FROM outbox_devices ORDER BY device_row_id').all()).toEqual([
      { device_row_id: 'dev_1', due_at: 0, next_send_at: 12_000 },
      { device_row_id: 'dev_2', due_at: 0, next_send_at: 9_000 },
      { device_row_id: 'dev_3', due_at: 0, next_send_at: 0 },
    ])
    const lanes = () =>
      database.query('SELECT lane, due_at, lease_id FROM outbox_lanes ORDER BY due_at').all()
    const kept = lanes()
    expect(kept).toEqual([
      { lane: 'dev_1/b', due_at: -8_000, lease_id: null },
      { lane: 'dev_1/a', due_at: 0, lease_id: null },
      { lane: 'dev_1/c', due_at: 5_000, lease_id: null },
      { lane: 'dev_3/d', due_at: 6_000, lease_id: 'lease' },
    ])
    expect(database.query('SELECT event_id FROM unmatched_statuses').all()).toEqual([{ event_id: '$1' }])
    expect(database.query('SELECT discarded_through AS seq FROM devices').get()).toEqual({ seq: 7 })
    database.run("INSERT INTO outbox_lanes (lane, device_row_id, due_at) VALUES ('dev_4/e', 'dev_4', 7000)")
    for (let version = embedded.length; version >= 30; version--) migrateDown(database)
    expect(lanes()).toEqual([...kept, { lane: 'dev_4/e', due_at: 7_000, lease_id: null }])
    expect(database.query('SELECT count(*) AS count FROM outbox_lanes WHERE has_slot = 1').get()).toEqual({
      count: 0,
    })
    expect(database.query('SELECT * FROM device_paces').all()).toEqual([])
    expect(database.query('SELECT event_id FROM early_statuses').all()).toEqual([{ event_id: '$1' }])
    expect(database.query('SELECT void_through AS seq FROM devices').get()).toEqual({ seq: 7 })
    migrateUp(database, 3_000)
    expect(lanes()).toHaveLength(5)
  })

  test('keep the tries of a delivery that do not count, under the name of either version', () => {
    const before = embedded.filter(({ version }) => version < 31)
    migrateUp(database, 1_000, before)
    database.run(`
      INSERT INTO deliveries (id, identity_id, webhook_id, inbox_seq, lane, status, attempts, created_at, forgiven)
        VALUES ('evt_1', 'id_1', 1, 1, 'id_1/1/a', 'pending', 9, 0, 5)`)
    migrateUp(database, 2_000)
    const now = database.query('SELECT uncounted_attempts AS uncounted FROM deliveries').get()
    expect(now).toEqual({ uncounted: 5 })
    for (let version = embedded.length; version >= 31; version--) migrateDown(database)
    expect(database.query('SELECT forgiven AS uncounted FROM deliveries').get()).toEqual({ uncounted: 5 })
  })

  test('keep events and what they leave behind, under the names of either version', () => {
    const before = embedded.filter(({ version }) => version < 32)
    migrateUp(database, 1_000, before)
    const goneSeq = () => database.query('SELECT feed_gone_seq AS seq FROM identities').get()
    const event = (table: string, id: string) =>
      database.run(`INSERT INTO ${table}
        (identity_id, event_id, name, room_id, device_row_id, sender_user_id, payload, received_at)
        VALUES ('id_1', '${id}', 'message.received', '', '', '', '{}', 0)`)
    database.run(`INSERT INTO identities (id, matrix_user_id, matrix_device_id, is_host, created_at, updated_at)
      VALUES ('id_1', '@mg1:s', 'D', 0, 0, 0)`)
    event('inbox_events', '$1')
    event('inbox_events', '$2')
    database.run(`INSERT INTO deliveries (id, identity_id, webhook_id, inbox_seq, lane, status, attempts, created_at)
      VALUES ('evt_1', 'id_1', 1, 2, 'id_1/1/a', 'pending', 0, 0)`)
    migrateUp(database, 2_000)
    expect(database.query('SELECT event_seq AS seq FROM deliveries').get()).toEqual({ seq: 2 })
    database.run("DELETE FROM events WHERE event_id = '$2'")
    expect(goneSeq()).toEqual({ seq: 2 })
    event('events', '$3')
    for (let version = embedded.length; version >= 32; version--) migrateDown(database)
    const stored = database.query('SELECT seq, event_id AS id FROM inbox_events ORDER BY seq').all()
    expect(stored).toEqual([
      { seq: 1, id: '$1' },
      { seq: 3, id: '$3' },
    ])
    expect(database.query('SELECT inbox_seq AS seq FROM deliveries').get()).toEqual({ seq: 2 })
    database.run("DELETE FROM inbox_events WHERE event_id = '$3'")
    expect(goneSeq()).toEqual({ seq: 3 })
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
