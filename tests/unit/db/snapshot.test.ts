/** A copy of a database in use by another process is whole, in the state after one commit. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { damageOf, snapshotInto } from '../../../src/db/snapshot.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

/** About 25 MB, so that the copy takes several stretches. */
const ROWS = 45_000

/**
 * Each transaction increments a counter, writes a row of that number, and moves values between
 * distant rows. Checkpoints are frequent.
 */
const WRITER = `
  import { Database } from 'bun:sqlite'
  const [, file, journal] = process.argv
  const db = new Database(file)
  db.run('PRAGMA busy_timeout = 30000')
  db.run('PRAGMA journal_mode = ' + journal)
  db.run('PRAGMA synchronous = OFF')
  db.run('PRAGMA wal_autocheckpoint = 50')
  db.run('CREATE TABLE account (id INTEGER PRIMARY KEY, value INTEGER, filler TEXT)')
  db.run('CREATE TABLE done (n INTEGER PRIMARY KEY)')
  db.run("INSERT INTO account WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < ${ROWS}) SELECT n, 100, hex(randomblob(250)) FROM c")
  const move = db.prepare('UPDATE account SET value = value + ? WHERE id = ?')
  const note = db.prepare('INSERT INTO done SELECT coalesce(max(n), 0) + 1 FROM done')
  const some = () => 1 + Math.floor(Math.random() * ${ROWS})
  for (;;) {
    db.transaction(() => {
      for (let step = 0; step < 20; step++) {
        move.run(-1, some())
        move.run(1, some())
      }
      note.run()
    })()
    await Bun.sleep(4)
  }`

interface State {
  done: number
  newest: number
  sum: number
}

function stateOf(file: string): State {
  using database = new Database(file, { readonly: true })
  return database
    .query<State, []>(
      'SELECT (SELECT count(*) FROM done) AS done, (SELECT coalesce(max(n), 0) FROM done) AS newest, (SELECT sum(value) FROM account) AS sum',
    )
    .get() as State
}

test.each(['wal', 'delete'])('with journal mode %s', async journal => {
  using folder = tempDir()
  const source = folder.file('source.db')
  await using writer = Bun.spawn([process.execPath, '-e', WRITER, source, journal], { stderr: 'inherit' })
  const isWriting = () => {
    try {
      return stateOf(source).done > 20
    } catch {
      return false
    }
  }
  await waitFor(isWriting, { what: 'a writer at work' })
  let before = 0
  for (let round = 0; round < 4; round++) {
    const target = folder.file(`copy-${round}.db`)
    snapshotInto(source, target)
    expect(existsSync(`${target}-wal`)).toBeFalse()
    expect(damageOf(target)).toBeNull()
    const { done, newest, sum } = stateOf(target)
    expect(sum).toBe(ROWS * 100)
    expect(done).toBe(newest)
    expect(newest).toBeGreaterThan(before)
    before = newest
  }
  writer.kill()
})

test('of a database that nobody has open', () => {
  using folder = tempDir()
  const source = folder.file('source.db')
  const database = new Database(source)
  database.run('PRAGMA journal_mode = WAL')
  database.run('CREATE TABLE t (n)')
  database.run('INSERT INTO t VALUES (7)')
  database.close()
  snapshotInto(source, folder.file('copy.db'))
  using copy = new Database(folder.file('copy.db'))
  expect(copy.query('SELECT n FROM t').all()).toEqual([{ n: 7 }])
  expect(copy.query('PRAGMA journal_mode').all()).toEqual([{ journal_mode: 'wal' }])
})
