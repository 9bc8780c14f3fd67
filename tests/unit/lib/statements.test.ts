/** SQL as functions. */
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { statementsOf } from '../../../src/lib/statements.ts'

function tables() {
  const database = new Database(':memory:', { strict: true })
  database.run('CREATE TABLE pet (name TEXT PRIMARY KEY, legs INTEGER)')
  const { one, value, has, all, values, run, writesSoFar } = statementsOf(database)
  return {
    database,
    writesSoFar,
    add: run<[name: string, legs: number]>('INSERT INTO pet VALUES (?, ?) ON CONFLICT DO NOTHING'),
    take: one<{ legs: number }, [name: string]>('DELETE FROM pet WHERE name = ? RETURNING legs'),
    find: one<{ legs: number }, [name: string]>('SELECT legs FROM pet WHERE name = ?'),
    names: all<{ name: string }>('SELECT name FROM pet ORDER BY name'),
    addPet: run<[{ name: string; legs: number }]>('INSERT INTO pet VALUES ($name, $legs)'),
    legsOf: value<number, [name: string]>('SELECT legs FROM pet WHERE name = ?'),
    isKnown: has<[name: string]>('SELECT 1 FROM pet WHERE name = ?'),
    nameList: values<string>('SELECT name FROM pet ORDER BY name'),
    takeLegs: value<number, [name: string]>('DELETE FROM pet WHERE name = ? RETURNING legs'),
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

  test('take named fields, and give the only column, of one row or of all, or whether there is a row', () => {
    const { addPet, isKnown, legsOf, nameList, takeLegs, writesSoFar } = tables()
    addPet({ name: 'cat', legs: 4 })
    addPet({ name: 'ant', legs: 6 })
    expect([legsOf('cat'), legsOf('dog')]).toEqual([4, undefined])
    expect([isKnown('cat'), isKnown('dog')]).toEqual([true, false])
    expect(nameList()).toEqual(['ant', 'cat'])
    const before = writesSoFar()
    expect([takeLegs('ant'), nameList()]).toEqual([6, ['cat']])
    expect(writesSoFar() - before).toBe(1)
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
