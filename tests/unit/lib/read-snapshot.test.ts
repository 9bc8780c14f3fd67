/** Reads between commits share a transaction; they see our commits at once and others' soon. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { GroupCommit } from '../../../src/lib/group-commit.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

let folder: TempDir
let database: Database
let committer: GroupCommit

beforeEach(() => {
  folder = tempDir()
  database = new Database(folder.file('a.db'))
  database.run('PRAGMA journal_mode = WAL')
  database.run('CREATE TABLE t (id INTEGER PRIMARY KEY)')
  committer = new GroupCommit(database, { snapshotMs: 20 })
})
afterEach(async () => {
  await committer.close()
  database.close()
  folder[Symbol.dispose]()
})

const insert = (id: number) => committer.write(() => database.query('INSERT INTO t VALUES (?)').run(id))
const ids = () =>
  database
    .query<{ id: number }, []>('SELECT id FROM t')
    .all()
    .map(row => row.id)

test('after a commit reads share a transaction, and see every commit of ours', async () => {
  await insert(1)
  expect(database.inTransaction).toBeTrue()
  expect(ids()).toEqual([1])
  await insert(2)
  expect(ids()).toEqual([1, 2])
})

test('a failed write leaves reads as they were', async () => {
  await insert(1)
  await expect(insert(1)).rejects.toThrow('UNIQUE')
  expect(ids()).toEqual([1])
  await insert(2)
  expect(ids()).toEqual([1, 2])
})

test("another connection's commit is seen soon, and it is not kept from writing", async () => {
  await insert(1)
  ids()
  using other = new Database(folder.file('a.db'))
  other.run('INSERT INTO t VALUES (2)')
  await waitFor(() => ids().length === 2)
  await waitFor(() => !database.inTransaction)
})

test('a write is seen by another connection when its promise resolves', async () => {
  using other = new Database(folder.file('a.db'))
  await insert(1)
  await insert(2)
  expect(other.query('SELECT id FROM t').all()).toHaveLength(2)
})
