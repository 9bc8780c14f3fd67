/** Reads and writes: what a work may do, what others see meanwhile, and signals after commit. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { settings } from '../../../src/db/schema/index.ts'
import { sqlStatement, statement } from '../../../src/db/statement.ts'
import type { Reader, Tx } from '../../../src/db/transaction.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const insert = statement(orm =>
  orm.insert(settings).values({ name: sql.placeholder('name'), value: sql.placeholder('value') }),
)
const all = statement(orm => orm.select({ name: settings.name }).from(settings).orderBy(settings.name))
const count = sqlStatement<{ count: number }>('SELECT count(*) AS count FROM settings')

let db: TempDb
beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

const add = (tx: Tx, name: string) => tx.run(insert, { name, value: '' })
const names = async (reader: Reader) => (await reader.all(all)).map(row => row.name)
const stored = () => db.read(names)
const failing = (tx: Tx) => add(tx, 'bad').then(() => Promise.reject(new Error('broken')))

describe('a write', () => {
  test('sees its own rows, and is on disk when it resolves', async () => {
    const seen = await db.write(async tx => {
      await add(tx, 'a')
      return names(tx)
    })
    expect(seen).toEqual(['a'])
    expect(await stored()).toEqual(['a'])
  })

  test('whose statement lacks a value is refused, and names it', async () => {
    await expect(db.write(tx => tx.run(insert, { name: 'a' }))).rejects.toThrow(
      'no value for the placeholder value',
    )
    expect(await stored()).toEqual([])
  })

  test('that throws leaves nothing, and its neighbours what they wrote', async () => {
    const outcomes = await Promise.allSettled([
      db.write(tx => add(tx, 'a')),
      db.write(failing),
      db.write(tx => add(tx, 'b')),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await stored()).toEqual(['a', 'b'])
  })

  test('that goes on after it has ended is refused', async () => {
    let late: Promise<void> | undefined
    await db.write(async tx => {
      await add(tx, 'a')
      late = Promise.resolve()
        .then(() => undefined)
        .then(() => undefined)
        .then(() => undefined)
        .then(() => add(tx, 'late'))
    })
    expect(late).rejects.toThrow('must await each of its statements')
    await db.write(tx => add(tx, 'b'))
    expect(await stored()).toEqual(['a', 'b'])
  })

  test('inside a write is rejected, as it would wait for itself; so is a read, which would not see its rows', async () => {
    const outcomes = await db.write(async tx => {
      await add(tx, 'a')
      return Promise.allSettled([db.write(other => add(other, 'b')), stored()])
    })
    expect(outcomes).toMatchObject([
      { reason: { message: expect.stringContaining('a write inside a write') } },
      { reason: { message: expect.stringContaining('a read inside a write') } },
    ])
    expect(await stored()).toEqual(['a'])
  })

  test('that awaits something else is ended, and those behind it go on', async () => {
    const waiting = db.write(async tx => {
      await add(tx, 'waiting')
      await new Promise(() => undefined)
    })
    const behind = db.write(tx => add(tx, 'behind'))
    expect(waiting).rejects.toThrow('may await nothing but its transaction')
    await behind
    expect(await stored()).toEqual(['behind'])
  })

  test('that awaits something else only when it runs again is ended, as is the next such one', async () => {
    const awaitingAt = (run: number) => {
      let runs = 0
      return db.write(async () => {
        if (++runs >= run) await new Promise(() => undefined)
      })
    }
    const outcomes = Promise.allSettled([awaitingAt(2), awaitingAt(1), db.write(tx => add(tx, 'behind'))])
    expect(await outcomes).toMatchObject([
      { reason: { message: expect.stringContaining('may await nothing but its transaction') } },
      { reason: { message: expect.stringContaining('may await nothing but its transaction') } },
      { status: 'fulfilled' },
    ])
    expect(await stored()).toEqual(['behind'])
  })

  test('runs a query that was built where it is used', async () => {
    await db.write(tx => tx.run(orm => orm.insert(settings).values({ name: 'a', value: '1' })))
    const row = await db.read(reader => reader.get(orm => orm.select().from(settings)))
    expect(row).toEqual({ name: 'a', value: '1' })
    expect(await db.read(reader => reader.get(count))).toEqual({ count: 1 })
  })
})

describe('while a write is under way', () => {
  test('others see what is committed, and none of its rows', async () => {
    await db.write(tx => add(tx, 'a'))
    const opened = Promise.withResolvers<void>()
    const seen = opened.promise.then(stored)
    await db.write(async tx => {
      await add(tx, 'b')
      opened.resolve()
      for (let turn = 0; turn < 50; turn++) await Promise.resolve()
      await add(tx, 'c')
    })
    expect(await seen).toEqual(['a'])
    expect(await stored()).toEqual(['a', 'b', 'c'])
  })

  test('synchronous works of the same transaction come last, so that their rows are not seen either', async () => {
    const order: string[] = []
    await Promise.all([
      db.committer.write(() => order.push('synchronous')),
      db.write(async tx => {
        await add(tx, 'a')
        order.push('asynchronous')
      }),
    ])
    expect(order).toEqual(['asynchronous', 'synchronous'])
  })
})

test('whoever has written may read on, whatever is written next', async () => {
  const readOn = async (reader: Reader) => {
    for (let read = 0; read < 20; read++) await names(reader)
    return 'read'
  }
  db.connection.run(
    'CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)',
  )
  db.connection.run('CREATE TABLE parent (id INTEGER PRIMARY KEY)')
  const fails = sqlStatement('INSERT INTO child VALUES (1)')
  const writes = ['a', 'b', 'c'].map(name => db.write(tx => add(tx, name)).then(() => db.read(readOn)))
  const outcomes = await Promise.allSettled([db.write(tx => tx.run(fails)), ...writes])
  expect(outcomes.slice(1)).toEqual(Array(3).fill({ status: 'fulfilled', value: 'read' }))
})

describe('what is told', () => {
  test('comes once, after the commit', async () => {
    const told: Promise<string[]>[] = []
    db.signals.on('deliveries', () => told.push(stored()))
    await Promise.allSettled([
      db.write(async tx => {
        tx.emit('deliveries')
        await add(tx, 'a')
        tx.emit('deliveries')
      }),
      db.write(failing),
    ])
    expect(await Promise.all(told)).toEqual([['a']])
  })

  test('never comes of a write that failed', async () => {
    let told = 0
    const end = db.signals.on('deliveries', () => told++)
    const failed = db.write(tx => {
      tx.emit('deliveries')
      return failing(tx)
    })
    expect(failed).rejects.toThrow('broken')
    await failed.catch(() => undefined)
    expect(told).toBe(0)
    end()
    await db.write(async tx => tx.emit('deliveries'))
    expect(told).toBe(0)
  })
})
