/** One process per folder: a second opening is refused, even in the same process. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { lockDataDir, openDbAlone } from '../../../src/db/lock.ts'
import { openDb } from '../../../src/db/open.ts'
import { StartError } from '../../../src/domain/errors.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('a folder is of one at a time, and free once that one closed', async () => {
  using folder = tempDir()
  const db = openDbAlone(folder.file('meshgate.db'))
  expect(() => lockDataDir(folder.path)).toThrow(
    new StartError(`DATA_DIR: ${folder.path} is in use by another meshgate`),
  )
  await db.close()
  lockDataDir(folder.path).release()
})

test('the database itself stays open to a command that only adds a row', async () => {
  using folder = tempDir()
  const db = openDbAlone(folder.file('meshgate.db'))
  const beside = openDb(folder.file('meshgate.db'))
  beside.connection.run('CREATE TABLE item (id INTEGER)')
  await beside.close()
  await db.close()
})

test('a database that cannot be opened leaves the folder free', () => {
  using folder = tempDir()
  writeFileSync(folder.file('meshgate.db'), 'words '.repeat(1_000))
  expect(() => openDbAlone(folder.file('meshgate.db'))).toThrow('not a database')
  lockDataDir(folder.path).release()
})
