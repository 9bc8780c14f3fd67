/** An opened database is durable and private. */

import { expect, test } from 'bun:test'
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDb } from '../../../src/db/open.ts'
import { sqlStatement } from '../../../src/db/statement.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('commits reach the disk, keys are checked, readers do not block the writer', async () => {
  using folder = tempDir()
  const db = openDb(folder.file('meshgate.db'))
  const pragma = (name: string) => Object.values(db.connection.query(`PRAGMA ${name}`).get() ?? {})[0]
  expect(pragma('journal_mode')).toBe('wal')
  // 2 is FULL.
  expect(pragma('synchronous')).toBe(2)
  expect(pragma('foreign_keys')).toBe(1)
  // A wait within SQLite blocks the whole process.
  expect(pragma('busy_timeout') ?? pragma('timeout')).toBe(10)
  await db.close()
})

test('a missing folder is made, for its owner alone', async () => {
  using folder = tempDir()
  const path = join(folder.path, 'deep', 'data')
  await openDb(join(path, 'meshgate.db')).close()
  expect(statSync(path).mode & 0o777).toBe(0o700)
})

test('a folder and files made before are closed to others', async () => {
  using folder = tempDir()
  const path = folder.file('data')
  mkdirSync(path)
  chmodSync(path, 0o755)
  const file = join(path, 'meshgate.db')
  writeFileSync(file, '', { mode: 0o644 })
  const db = openDb(file)
  db.connection.run('CREATE TABLE item (id INTEGER)')
  expect(statSync(path).mode & 0o777).toBe(0o700)
  for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600)
  await db.close()
})

test('a folder that everybody writes to stays open', async () => {
  using folder = tempDir()
  chmodSync(folder.path, 0o1777)
  await openDb(folder.file('meshgate.db')).close()
  expect(statSync(folder.path).mode & 0o7777).toBe(0o1777)
})

test('closing commits what waits', async () => {
  using folder = tempDir()
  const file = folder.file('meshgate.db')
  const db = openDb(file)
  db.connection.run('CREATE TABLE item (id INTEGER)')
  const write = db.write(tx => tx.run(sqlStatement('INSERT INTO item VALUES (1)')))
  await db.close()
  await write
  const again = openDb(file)
  expect(again.connection.query('SELECT id FROM item').all()).toEqual([{ id: 1 }])
  await again.close()
})
