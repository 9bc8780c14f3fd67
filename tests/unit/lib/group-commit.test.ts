/** Group commit: order, sharing, isolation of failures, and durability under kill -9. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type Committer, GroupCommit } from '../../../src/lib/group-commit.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

let database: Database
let commits: GroupCommit

beforeEach(() => {
  database = new Database(':memory:', { strict: true })
  database.run('CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT')
  commits = new GroupCommit(database)
})

afterEach(() => database.close())

const insert = (id: number) => () => database.query('INSERT INTO item VALUES (?)').run(id).changes
const stored = () =>
  database
    .query<{ id: number }, []>('SELECT id FROM item ORDER BY rowid')
    .all()
    .map(row => row.id)

describe('writes of one turn', () => {
  test('run in order and each gets its own result', async () => {
    const order: number[] = []
    const results = await Promise.all(
      [3, 1, 2].map(id =>
        commits.write(() => {
          order.push(id)
          insert(id)()
          return `item ${id}`
        }),
      ),
    )
    expect(results).toEqual(['item 3', 'item 1', 'item 2'])
    expect(order).toEqual([3, 1, 2])
    expect(stored()).toEqual([1, 2, 3])
  })

  test('share one commit', async () => {
    const run: string[] = []
    const spied = new Proxy(database, {
      get(target, property) {
        if (property === 'run') {
          return (sql: string) => {
            run.push(sql)
            return target.run(sql)
          }
        }
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const shared = new GroupCommit(spied)
    await Promise.all(Array.from({ length: 50 }, (_, id) => shared.write(insert(id))))
    expect(run).toEqual(['BEGIN IMMEDIATE', 'COMMIT'])
  })

  test('are not there before the promise resolves, and are for another connection afterwards', async () => {
    using folder = tempDir()
    const file = folder.file('test.db')
    const writer = new Database(file, { create: true })
    writer.run('PRAGMA journal_mode = WAL')
    writer.run('CREATE TABLE item (id INTEGER)')
    const reader = new Database(file)
    const count = () => reader.query<{ n: number }, []>('SELECT count(*) AS n FROM item').get()?.n
    const write = new GroupCommit(writer).write(() => writer.run('INSERT INTO item VALUES (1)').changes)
    expect(count()).toBe(0)
    expect(await write).toBe(1)
    expect(count()).toBe(1)
    writer.close()
    reader.close()
  })
})

describe('a write that fails', () => {
  test('is rejected alone: the others of its batch are stored', async () => {
    const results = await Promise.allSettled([
      commits.write(insert(1)),
      commits.write(() => {
        insert(2)()
        throw new Error('changed my mind')
      }),
      commits.write(insert(3)),
      commits.write(insert(1)),
      commits.write(insert(4)),
    ])
    expect(results.map(result => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(stored()).toEqual([1, 3, 4])
  })

  test('leaves the next batch unharmed', async () => {
    await expect(commits.write(() => database.run('INSERT INTO nowhere VALUES (1)'))).rejects.toThrow(
      'nowhere',
    )
    expect(await commits.write(insert(1))).toBe(1)
    expect(database.inTransaction).toBe(false)
  })

  test('waiting for a lock held elsewhere is told, and what comes later works', async () => {
    using folder = tempDir()
    const file = folder.file('test.db')
    const ours = new Database(file, { create: true })
    ours.run('PRAGMA busy_timeout = 1')
    ours.run('CREATE TABLE item (id INTEGER PRIMARY KEY)')
    const other = new Database(file)
    const locked = new GroupCommit(ours)
    other.run('BEGIN IMMEDIATE')
    const results = await Promise.allSettled(
      [1, 2].map(id => locked.write(() => ours.run('INSERT INTO item VALUES (?)', [id]))),
    )
    expect(results.map(result => result.status)).toEqual(['rejected', 'rejected'])
    other.run('ROLLBACK')
    await locked.write(() => ours.run('INSERT INTO item VALUES (3)'))
    expect(ours.query('SELECT id FROM item').all()).toEqual([{ id: 3 }])
    ours.close()
    other.close()
  })
})

test('close commits what waits and refuses what comes later', async () => {
  const waiting = commits.write(insert(1))
  commits.close()
  expect(await waiting).toBe(1)
  await expect(commits.write(insert(2))).rejects.toThrow('closed')
  expect(stored()).toEqual([1])
})

test('every write whose promise resolved survives kill -9', async () => {
  using folder = tempDir()
  const file = folder.file('test.db')
  const script = `
    import { openDb } from ${JSON.stringify(join(import.meta.dir, '../../../src/db/open.ts'))}
    const { connection, committer } = openDb(${JSON.stringify(file)})
    connection.run('CREATE TABLE item (id INTEGER PRIMARY KEY)')
    for (let id = 1; ; id += 3) {
      await Promise.all([id, id + 1, id + 2].map(async one => {
        await committer.write(() => connection.query('INSERT INTO item VALUES (?)').run(one).changes)
        process.stdout.write(one + '\\n')
      }))
    }`
  const child = Bun.spawn([process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let told = ''
  const reading = (async () => {
    for await (const chunk of child.stdout) told += new TextDecoder().decode(chunk)
  })()
  await waitFor(() => told.split('\n').length > 100, { what: 'a hundred writes', deadlineMs: 15_000 })
  child.kill('SIGKILL')
  await child.exited
  await reading
  const survivors = new Database(file)
  const ids = new Set(
    survivors
      .query<{ id: number }, []>('SELECT id FROM item')
      .all()
      .map(row => row.id),
  )
  survivors.close()
  const promised = told.split('\n').slice(0, -1).map(Number)
  expect(promised.filter(id => !ids.has(id))).toEqual([])
}, 20_000)

/** Never called: the compiler checks that an async callback, which would commit before its work is done, isn't accepted. */
export function asyncWorkIsATypeError(committer: Committer): void {
  // @ts-expect-error a promise is not a synchronous result
  void committer.write(async () => 1)
  // @ts-expect-error nor is one that is only handed on
  void committer.write(() => Promise.resolve('later'))
}
