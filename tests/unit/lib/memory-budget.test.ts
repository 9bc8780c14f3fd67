/** A memory budget is bounded in all and for one holder, and goes to those that wait. */
import { expect, test } from 'bun:test'
import { BudgetExceeded, MemoryBudget } from '../../../src/lib/memory-budget.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

/** A work takes 8 bytes of 80. */
const scene = () => {
  const clock = new ManualClock()
  const budget = new MemoryBudget(clock, 80)
  const got: (() => void)[] = []
  const refused: unknown[] = []
  const take = (holder: string, bytes = 8) => {
    const taken = budget.take(holder, bytes)
    taken.then(
      giveBack => got.push(giveBack),
      error => refused.push(error),
    )
    return settled()
  }
  return { clock, got, refused, take }
}

test('a holder alone gets half of it, and there is some for the next', async () => {
  const { got, take } = scene()
  for (let file = 0; file < 9; file++) await take('one')
  expect(got).toHaveLength(5)
  for (let file = 0; file < 9; file++) await take('two')
  expect(got).toHaveLength(5 + 2)
  await take('three')
  expect(got).toHaveLength(5 + 2 + 1)
})

test('what is given back goes to who has waited longest and may have it', async () => {
  const { got, take } = scene()
  for (let file = 0; file < 7; file++) await take('one')
  got[0]?.()
  await settled()
  expect(got).toHaveLength(6)
  got[1]?.()
  await settled()
  expect(got).toHaveLength(7)
})

test('who waits too long is told so, and takes nothing', async () => {
  const { clock, got, refused, take } = scene()
  for (let file = 0; file < 6; file++) await take('one')
  await clock.advance(10_000)
  expect(refused).toEqual([expect.any(BudgetExceeded)])
  for (const giveBack of got.splice(0)) giveBack()
  for (let file = 0; file < 9; file++) await take('one')
  expect(got).toHaveLength(5)
})

test('a work larger than all of it is let in, one at a time', async () => {
  const { got, take } = scene()
  await take('one', 1_000)
  await take('one', 1_000)
  expect(got).toHaveLength(1)
  got[0]?.()
  await settled()
  expect(got).toHaveLength(2)
})
