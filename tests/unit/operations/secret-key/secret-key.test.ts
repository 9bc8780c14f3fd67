/**
 * Starts with another SECRET_KEY, and its change: no secret is lost, or stays under the old key.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { silentLogger } from '../../../../src/lib/logger.ts'
import { createHmacHasher, createSealer, deriveKey } from '../../../../src/lib/sealing.ts'
import { SEALED_COLUMNS } from '../../../../src/modules/operations/secret-key/repository.ts'
import {
  openKeyring,
  PASSWORDS,
  settleSecretKey,
} from '../../../../src/modules/operations/secret-key/secret-key.ts'
import { collectedLog } from '../../../support/collected-log.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { type TempDb, tempDb } from '../../../support/temp-db.ts'

const OLD = 'the old key of the tests'
const NEW = 'the new key of the tests'
const OTHER = 'yet another key of the tests'

let db: TempDb
const clock = new ManualClock()

beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

const settle = (current: string, previous?: string, logger = silentLogger) =>
  settleSecretKey(db, { secretKey: current, previousSecretKey: previous }, { clock, logger })
const keyring = (secretKey: string, previousSecretKey?: string) =>
  openKeyring(db, { secretKey, previousSecretKey })

/** One row for every table with a sealed column, its values sealed under the old key. */
function fill(): void {
  const sealer = createSealer(OLD)
  const sealed = (table: string, owner: string) =>
    Object.fromEntries(
      SEALED_COLUMNS.filter(entry => entry.table === table).map(({ column, contextOf }) => [
        column,
        sealer.seal(`${table}.${column}`, contextOf(owner)),
      ]),
    )
  const insert = (table: string, row: Record<string, unknown>) => {
    const names = Object.keys(row)
    db.connection
      .query(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
      .run(...(Object.values(row) as string[]))
  }
  const times = { created_at: 1, updated_at: 1 }
  insert('identities', {
    id: 'id_1',
    matrix_user_id: '@a:localhost',
    matrix_device_id: 'D',
    is_host: 0,
    next_webhook_id: 2,
    ...times,
    ...sealed('identities', 'id_1'),
  })
  insert('webhooks', {
    identity_id: 'id_1',
    id: 1,
    url: 'https://example.com',
    active: 1,
    ...times,
    ...sealed('webhooks', 'id_1'),
  })
  insert('bridges', {
    platform: 'wa',
    url: 'http://bridge',
    registration_id: 'whatsapp',
    sender_localpart: 'bot',
    bot_localpart: 'bot',
    namespaces: '{"users":[]}',
    dir: '/tmp',
    ...times,
    ...sealed('bridges', 'wa'),
  })
}

/** Every sealed value, opened with one key alone. */
function openAll(key: string): string[] {
  const sealer = createSealer(key)
  return SEALED_COLUMNS.map(({ table, column, owner, contextOf }) => {
    const row = db.connection
      .query<{ owner: string; sealed: string }, []>(
        `SELECT ${owner} AS owner, ${column} AS sealed FROM ${table}`,
      )
      .get()
    return sealer.open(row?.sealed ?? '', contextOf(row?.owner ?? ''))
  })
}
const PLAIN = SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`)

test('every sealed column there is can be sealed anew', () => {
  const tables = db.connection
    .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
  const sealed = tables.flatMap(({ name }) =>
    db.connection
      .query<{ name: string }, []>(`PRAGMA table_info(${name})`)
      .all()
      .filter(column => column.name.endsWith('_sealed'))
      .map(column => `${name}.${column.name}`),
  )
  expect(sealed.filter(name => name !== 'idempotency_keys.answer_sealed').toSorted()).toEqual(
    PLAIN.toSorted(),
  )
})

describe('another key than that of the first start', () => {
  test('is refused in one line, and changes nothing', async () => {
    await settle(OLD)
    fill()
    await expect(settle(NEW)).rejects.toThrow(/^SECRET_KEY: this database was not written with it; /)
    await expect(keyring(NEW)).rejects.toThrow('SECRET_KEY: ')
    await expect(settle(NEW, OTHER)).rejects.toThrow('nor with SECRET_KEY_PREVIOUS')
    await settle(OLD)
    expect(openAll(OLD)).toEqual(PLAIN)
  })

  test('is refused by what is sealed, in a database from before the check', async () => {
    fill()
    await expect(settle(NEW)).rejects.toThrow('SECRET_KEY: ')
    await settle(OLD)
    await expect(settle(NEW)).rejects.toThrow('SECRET_KEY: ')
  })

  test('cannot be told in an empty database, which then is its own', async () => {
    await settle(NEW)
    await expect(settle(OLD)).rejects.toThrow('SECRET_KEY: ')
  })
})

describe('the change of the key', () => {
  test('seals everything anew, so that the old key opens nothing', async () => {
    await settle(OLD)
    fill()
    await settle(NEW, OLD)
    expect(openAll(NEW)).toEqual(PLAIN)
    expect(() => openAll(OLD)).toThrow()
    await settle(NEW)
    await expect(settle(OLD)).rejects.toThrow('SECRET_KEY: ')
  })

  test('works in a database from before the check', async () => {
    fill()
    await settle(NEW, OLD)
    expect(openAll(NEW)).toEqual(PLAIN)
  })

  test('leaves everything as it was when one value can’t be opened', async () => {
    await settle(OLD)
    fill()
    db.connection.run("UPDATE bridges SET secret_sealed = 'v1.broken'")
    const before = db.connection.query('SELECT * FROM webhooks').all()
    await expect(settle(NEW, OLD)).rejects.toThrow()
    expect(db.connection.query('SELECT * FROM webhooks').all()).toEqual(before)
    await settle(OLD)
  })

  test('may be made again and again', async () => {
    await settle(OLD)
    fill()
    await settle(NEW, OLD)
    await settle(OTHER, NEW)
    expect(openAll(OTHER)).toEqual(PLAIN)
  })

  test('keeps the passwords of Matrix users, which the homeserver knows', async () => {
    await settle(OLD)
    const password = createHmacHasher(deriveKey(OLD, PASSWORDS))('alice')
    expect((await keyring(OLD)).hasherFor(PASSWORDS)('alice')).toBe(password)
    await settle(NEW, OLD)
    expect((await keyring(NEW, OLD)).hasherFor(PASSWORDS)('alice')).toBe(password)
    await settle(OTHER, NEW)
    expect((await keyring(OTHER)).hasherFor(PASSWORDS)('alice')).toBe(password)
    expect((await keyring(OTHER)).hasherFor('tokens')('alice')).toBe(
      createHmacHasher(deriveKey(OTHER, 'tokens'))('alice'),
    )
  })

  test('tells how many tokens still need the old key', async () => {
    const { logger, text } = collectedLog()
    await settle(OLD)
    fill()
    db.connection.run(
      "INSERT INTO tokens (token_hash, identity_id, is_admin, created_at, updated_at) VALUES ('x', 'id_1', 0, 1, 1)",
    )
    await clock.advance(1_000)
    await settle(NEW, OLD, logger)
    expect(JSON.parse(text().trim().split('\n').at(-1) ?? '')).toMatchObject({ tokens: 1 })
    db.connection.run(`UPDATE tokens SET last_used_at = ${clock.now()}`)
    await settle(NEW, OLD, logger)
    expect(text()).toContain('SECRET_KEY_PREVIOUS can go')
  })
})
