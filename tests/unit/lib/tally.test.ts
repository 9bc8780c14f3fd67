/** The amounts of single holders, and their sum. */
import { expect, test } from 'bun:test'
import { Tally } from '../../../src/lib/tally.ts'

test('adds up by holder and in all, and forgets a holder who has nothing left', () => {
  const tally = new Tally([
    ['a', 2],
    ['b', 3],
  ])
  tally.add('a', 4)
  expect([tally.of('a'), tally.of('b'), tally.of('c'), tally.total]).toEqual([6, 3, 0, 9])
  tally.add('a', -6)
  expect([tally.of('a'), tally.total]).toEqual([0, 3])
})

test('what is held is given back once', () => {
  const tally = new Tally()
  const giveBack = tally.hold('a', 5)
  tally.hold('a', 1)
  giveBack()
  giveBack()
  expect([tally.of('a'), tally.total]).toEqual([1, 1])
})
