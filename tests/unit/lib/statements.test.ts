/** SQL as functions. */
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { statementsOf } from '../../../src/lib/statements.ts'

function tables() {
  const database = new Database(':memory:')
  database.run('CREATE TABLE pet (name TEXT PRIMARY KEY, legs INTEGER)')
  const { one, all, run, writesSoFar } = statementsOf(database)
  return {
    database,
    writesSoFar,
    add: run<[name: string, legs: number]>('INSERT INTO pet VALUES (?, ?) ON CONFLICT DO NOTHING'),
    take: one<{ legs: number }, [name: string]>('DELETE FROM pet WHERE name = ? RETURNING legs'),
    find: one<{ legs: number }, [name: string]>('SELECT legs FROM pet WHERE name = ?'),
    names: all<{ name: string }>('SELECT name FROM pet ORDER BY name'),
  }
}

describe('statements', () => {
  test('give a row or undefined, rows, and how many rows changed', () => {
    const { add, find, names } = tables()
    expect([add('cat', 4), add('cat', 3), add('ant', 6)]).toEqual([1, 0, 1])
    expect(find('cat')).toEqual({ legs: 4 })
    expect(find('dog')).toBeUndefined()
    expect(names()).toEqual([{ name: 'ant' }, { name: 'cat' }])
  })

  test('tell whether a write has run, whichever part of the connection ran it', () => {
    const { database, add, find, names, take, writesSoFar } = tables()
    const before = writesSoFar()
    find('cat')
    names()
    expect(writesSoFar()).toBe(before)
    add('cat', 4)
    expect(take('cat')).toEqual({ legs: 4 })
    expect(writesSoFar()).toBe(before + 2)
    expect(statementsOf(database).writesSoFar()).toBe(before + 2)
  })
})
