/** Group commit: order, sharing, isolation of failures, and durability under kill -9. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { join } from 'node:path'
import { asStorageError } from '../../../src/db/storage-errors.ts'
import { type Committer, GroupCommit } from '../../../src/lib/group-commit.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
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

/** Limits the database's growth to `more` pages, as a full disk would. */
function limitPages(more: number): void {
  const [pages] = database.query<{ page_count: number }, []>('PRAGMA page_count').all()
  database.run(`PRAGMA max_page_count = ${(pages?.page_count ?? 0) + more}`)
}

describe('effects', () => {
  test('run once, after their transaction is on disk', async () => {
    const seen: number[][] = []
    await commits.transact(async scope => {
      scope.afterCommit(() => seen.push(stored()))
      insert(1)()
    })
    await commits.write(insert(2))
    expect(seen).toEqual([[1]])
  })

  test('of a work that runs again because its neighbour failed run once, those of the neighbour never', async () => {
    const seen: string[] = []
    const results = await Promise.allSettled([
      commits.transact(async scope => {
        scope.afterCommit(() => seen.push('good'))
        insert(1)()
      }),
      commits.transact(async scope => {
        scope.afterCommit(() => seen.push('bad'))
        throw new Error('broken')
      }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(seen).toEqual(['good'])
  })
})

test('each transaction is told with the number of its writes', async () => {
  const told: number[] = []
  commits.watch((writes, tookMs) => {
    expect(tookMs).toBeGreaterThan(0)
    told.push(writes)
  })
  await Promise.all([commits.write(insert(1)), commits.write(insert(2))])
  await commits.write(insert(3))
  expect(told).toEqual([2, 1])
})

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

  test('for lack of space fails with what the caller knows, and the others of its batch, which take none, are stored', async () => {
    database.run('CREATE TABLE page (content TEXT) STRICT')
    await commits.write(insert(1))
    const full = new GroupCommit(database, { translate: asStorageError })
    limitPages(0)
    const results = await Promise.allSettled([
      full.write(insert(2)),
      full.write(() => database.run('INSERT INTO page VALUES (?)', ['x'.repeat(100_000)])),
      full.write(() => database.run('DELETE FROM item WHERE id = 1')),
    ])
    expect(results.map(result => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(results[1]).toMatchObject({ reason: { name: 'GatewayError', code: 'storage_full' } })
    expect(stored()).toEqual([2])
    expect(database.query('SELECT count(*) AS n FROM page').get()).toEqual({ n: 0 })
    limitPages(1_000)
    await full.write(() => database.run('INSERT INTO page VALUES (?)', ['x'.repeat(100_000)]))
    expect(full.trouble()).toBeNull()
  })

  test('tells the trouble until a write succeeds', async () => {
    const full = new GroupCommit(database, { translate: asStorageError })
    database.run('CREATE TABLE page (content TEXT) STRICT')
    limitPages(0)
    await full.write(() => database.run('INSERT INTO page VALUES (?)', ['x'.repeat(100_000)])).catch(() => 0)
    expect(full.trouble()).toMatchObject({ code: 'storage_full' })
    await full.write(() => database.run('INSERT INTO nowhere VALUES (1)')).catch(() => 0)
    await full.write(insert(1))
    expect(full.trouble()).toBeNull()
  })
})

describe('while another process writes', () => {
  let folder: TempDir
  let ours: Database
  let other: Database
  beforeEach(() => {
    folder = tempDir()
    ours = new Database(folder.file('test.db'), { create: true })
    ours.run('PRAGMA journal_mode = WAL')
    ours.run('PRAGMA busy_timeout = 1')
    ours.run('CREATE TABLE item (id INTEGER PRIMARY KEY)')
    other = new Database(folder.file('test.db'))
    other.run('BEGIN IMMEDIATE')
  })
  afterEach(() => {
    ours.close()
    other.close()
    folder[Symbol.dispose]()
  })
  const add = (id: number) => () => ours.run('INSERT INTO item VALUES (?)', [id])
  const items = () => ours.query('SELECT id FROM item').values().flat()

  test('writes wait their turn, in their order, and the event loop goes on', async () => {
    const patient = new GroupCommit(ours, { translate: asStorageError })
    let done = 0
    const writes = [1, 2, 3].map(id => patient.write(add(id)).then(() => done++))
    await waitFor(() => patient.trouble() !== null)
    using tries = spyOn(ours, 'run')
    await expectShortTurns(async round => {
      await waitFor(() => tries.mock.calls.length > round)
    })
    expect({ done, items: items(), trouble: patient.trouble() }).toMatchObject({
      done: 0,
      items: [],
      trouble: { code: 'storage_unavailable' },
    })
    other.run('ROLLBACK')
    await Promise.all(writes)
    expect({ items: items(), trouble: patient.trouble() }).toEqual({ items: [1, 2, 3], trouble: null })
  })

  test('they are rejected after a while, and what comes later works', async () => {
    const locked = new GroupCommit(ours, { translate: asStorageError, busyPatienceMs: 50 })
    const results = await Promise.allSettled([1, 2].map(id => locked.write(add(id))))
    expect(results).toMatchObject([1, 2].map(() => ({ reason: { code: 'storage_unavailable' } })))
    other.run('ROLLBACK')
    await locked.write(add(3))
    expect(items()).toEqual([3])
  })

  test('a close waits a moment only', async () => {
    const closing = new GroupCommit(ours, { translate: asStorageError })
    const write = closing.write(add(1)).catch(error => error.code)
    await closing.close()
    expect(await write).toBe('storage_unavailable')
  })
})

test('close commits what waits and refuses what comes later', async () => {
  const waiting = commits.write(insert(1))
  await commits.close()
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

/** Never called: the compiler rejects async callbacks, as they would commit before they end. */
export function asyncWorkIsATypeError(committer: Committer): void {
  // @ts-expect-error a promise is not a synchronous result
  void committer.write(async () => 1)
  // @ts-expect-error nor is one that is only handed on
  void committer.write(() => Promise.resolve('later'))
}
